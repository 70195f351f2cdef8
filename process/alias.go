package process

import "context"

// aliasBit tells the ids of aliases from those of processes.
const aliasBit = 1 << 62

// alias is an address of its own for a process, or for an inbox, that can be switched off.
type alias struct {
	owner *Process
	inbox *Inbox
	once  bool
}

// Alias makes another PID for this process: what is sent to it arrives here, until Unalias (SEND-08). It is meant for
// replies that may come too late. An alias can be monitored, as the process; it has no links of its own.
func (p *Process) Alias() PID { return p.newAlias(false) }

// AliasOnce is Alias for one message: when it has come, the alias is switched off.
func (p *Process) AliasOnce() PID { return p.newAlias(true) }

func (p *Process) newAlias(once bool) PID {
	a := &alias{owner: p, once: once}
	id := p.rt.lastID.Add(1) | aliasBit
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return p.rt.pid(id)
	}
	if p.aliases == nil {
		p.aliases = make(map[uint64]*alias)
	}
	p.aliases[id] = a
	p.rt.aliases.put(id, a)
	return p.rt.pid(id)
}

// Unalias switches an alias of this process off: messages to it are lost and counted from now on, those that are in
// the mailbox already stay. It reports whether the alias was on.
func (p *Process) Unalias(pid PID) bool {
	if !p.rt.local(pid) {
		return false
	}
	return p.dropAlias(pid.ID)
}

func (p *Process) dropAlias(id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.aliases[id] == nil {
		return false
	}
	delete(p.aliases, id)
	if len(p.aliases) == 0 {
		p.aliases = nil
	}
	p.rt.aliases.remove(id) // lock order: process, then table
	return true
}

// put delivers a message to whatever is behind the alias.
func (a *alias) put(id uint64, msg Message, mode putMode) error {
	if a.inbox != nil {
		return a.inbox.put(msg)
	}
	if a.once && !a.owner.dropAlias(id) {
		return ErrNoProcess // another message came first
	}
	return a.owner.put(msg, mode)
}

// lookup is the process of an id, or the one behind an alias; nil when there is none.
func (r *Runtime) lookup(id uint64) *Process {
	if id&aliasBit == 0 {
		return r.procs.get(id)
	}
	if a := r.aliases.get(id); a != nil {
		return a.owner
	}
	return nil
}

// Inbox is an address for replies to code that is no process: a PID, and the messages that come to it. It is cheap to
// make, one for each request. After Close what still comes is lost and counted, and never mixed up with anything.
type Inbox struct {
	rt     *Runtime
	id     uint64
	ch     chan Message
	notify func()
}

// NewInbox makes an inbox for up to capacity messages that have not been received yet, at least one. More than that are
// refused and counted. notify, unless it is nil, is called after each message that came in, on whatever goroutine
// brought it; it must be quick and must not block.
func (r *Runtime) NewInbox(capacity int, notify func()) *Inbox {
	b := &Inbox{rt: r, id: r.lastID.Add(1) | aliasBit, ch: make(chan Message, max(1, capacity)), notify: notify}
	r.aliases.put(b.id, &alias{inbox: b})
	return b
}

// PID is the address of the inbox.
func (b *Inbox) PID() PID { return b.rt.pid(b.id) }

func (b *Inbox) put(msg Message) error {
	select {
	case b.ch <- msg:
		if b.notify != nil {
			b.notify()
		}
		return nil
	default:
		b.rt.stats.refused.Add(1)
		return ErrMailboxFull
	}
}

// Monitor puts a Down into the inbox when the process at the address ends: see Runtime.Monitor. Stop it when it is no
// longer needed.
func (b *Inbox) Monitor(ctx context.Context, to Address) *Monitor {
	return b.rt.Monitor(ctx, to, func(d Down) { _ = b.put(d) }) // a full inbox counts it
}

// Receive takes the next message, and waits for one within ctx, whose error it returns, or ErrClosed when the runtime
// is closed. Several goroutines may call it at once.
func (b *Inbox) Receive(ctx context.Context) (Message, error) {
	for {
		if msg, ok := b.TryReceive(); ok {
			return msg, nil
		}
		select {
		case item := <-b.ch:
			if msg, ok := b.open(item); ok {
				return msg, nil
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-b.rt.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// TryReceive takes the next message if one is there. It does not wait.
func (b *Inbox) TryReceive() (Message, bool) {
	for {
		select {
		case item := <-b.ch:
			if msg, ok := b.open(item); ok {
				return msg, true
			}
		default:
			return nil, false
		}
	}
}

// open turns what came in into a message. What cannot be decoded is counted, and passed over.
func (b *Inbox) open(item Message) (Message, bool) {
	e, ok := item.(*encoded)
	if !ok {
		return item, true
	}
	msg, err := b.rt.Decode(e.data)
	if err != nil {
		b.rt.badMessage(err)
	}
	return msg, err == nil
}

// Close switches the address off.
func (b *Inbox) Close() { b.rt.aliases.remove(b.id) }
