package process

import (
	"context"
	"errors"
	"slices"
)

// Policy says what happens to a message for a bounded mailbox that is full.
type Policy uint8

const (
	// Refuse turns the message away: a local sender gets ErrMailboxFull, one of another node hears of it only from
	// SendConfirmed. Refused messages are counted.
	Refuse Policy = iota
	// Block lets a local sender wait for room, within its context; a process that sends to itself waits too. Senders of other nodes are never blocked by a
	// mailbox, only by the window of the session: their messages are queued beyond the bound, except those of
	// SendConfirmed, which are refused.
	Block
	// DropOldest makes room by dropping the message that has waited longest, which is counted.
	DropOldest
)

// String is the name of the policy.
func (p Policy) String() string {
	switch p {
	case Refuse:
		return "refuse"
	case Block:
		return "block"
	case DropOldest:
		return "drop_oldest"
	}
	return "unknown"
}

// errWait tells a local sender to wait for room.
var errWait = errors.New("wait for room")

// bound is what only bounded mailboxes have. It is guarded by the process's mu.
type bound struct {
	capacity int
	policy   Policy
	waiters  []chan struct{} // local senders that wait for room, first come first served
	added    uint64          // how many messages have ever come in
	searches uint64          // how many selective receives there were; of the owner
}

// slot is a place in a bounded mailbox. Its address tells it apart from others that hold an equal message.
type slot struct {
	item   Message
	search uint64 // the last selective receive that passed it over; of the owner
}

// takeWaiters is called with mu held.
func (b *bound) takeWaiters() []chan struct{} {
	if b == nil {
		return nil
	}
	waiters := b.waiters
	b.waiters = nil
	return waiters
}

// overflow is called with mu held when a message comes to a full mailbox: nil means that it may be added.
func (p *Process) overflow(mode putMode) error {
	b := p.bound
	switch {
	case b.policy == DropOldest:
		p.dropOldest()
		return nil
	case b.policy == Block && mode == putLocal:
		return errWait
	case b.policy == Block && mode == putAsync:
		return nil
	}
	p.rt.stats.refused.Add(1)
	return ErrMailboxFull
}

// dropOldest drops the oldest message, and spares signals.
func (p *Process) dropOldest() {
	i := slices.IndexFunc(p.queue, func(s Message) bool { return !isSignal(s.(*slot).item) })
	if i < 0 {
		return
	}
	p.queue = slices.Delete(p.queue, i, i+1)
	p.rt.stats.droppedOldest.Add(1)
}

func isSignal(item Message) bool {
	switch item.(type) {
	case downSignal, Exit:
		return true
	}
	return false
}

// popBound takes the first item of a bounded mailbox that is not empty, and the sender that may come in for it. mu is
// held.
func (p *Process) popBound() (item Message, waiter chan struct{}) {
	item = p.queue[0].(*slot).item
	p.queue[0] = nil
	p.queue = p.queue[1:]
	return item, p.admit()
}

// admit is the waiting sender whose turn it is, if there is room. mu is held.
func (p *Process) admit() chan struct{} {
	b := p.bound
	if len(b.waiters) == 0 || len(p.queue) >= b.capacity {
		return nil
	}
	waiter := b.waiters[0]
	b.waiters = b.waiters[1:]
	return waiter
}

// putWait is put for a local sender, who waits for room within ctx.
func (p *Process) putWait(ctx context.Context, msg Message) error {
	for {
		err := p.put(msg, putLocal)
		if err != errWait {
			return err
		}
		if err := p.waitRoom(ctx); err != nil {
			return err
		}
	}
}

// waitRoom returns when there may be room, or nobody left to make any.
func (p *Process) waitRoom(ctx context.Context) error {
	p.mu.Lock()
	b := p.bound
	if p.dead || len(p.queue) < b.capacity {
		p.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	b.waiters = append(b.waiters, turn)
	p.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	for i, w := range b.waiters {
		if w == turn {
			b.waiters = append(b.waiters[:i:i], b.waiters[i+1:]...)
			p.mu.Unlock()
			return ctx.Err()
		}
	}
	next := p.admit() // our turn had come: it goes to the next in line
	p.mu.Unlock()
	if next != nil {
		close(next)
	}
	return ctx.Err()
}

// passMark is called with mu held when the mailbox has reached its mark. It returns the length to report, and doubles
// the mark, so that a growing mailbox is reported a few times and not for each message.
func (p *Process) passMark() int {
	if p.warnAt == 0 {
		return 0
	}
	n := len(p.queue)
	p.warnAt = uint32(min(2*uint64(n), 1<<32-1))
	return n
}

// warnHighWater reports a mailbox that has grown past its mark.
func (r *Runtime) warnHighWater(p *Process, n int) {
	r.stats.highWater.Add(1)
	p.mu.Lock()
	name := p.name
	p.mu.Unlock()
	r.log.Warn().Stringer("pid", p.PID()).Str("name", name).Int("messages", n).Msg("mailbox is growing")
	if r.onHighWater != nil {
		r.onHighWater(p.PID(), n)
	}
}
