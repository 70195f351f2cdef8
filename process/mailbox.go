package process

import "context"

// putMode says what a message does at a bounded mailbox that is full.
type putMode uint8

const (
	// putLocal: a local sender, who can be told, and can wait.
	putLocal putMode = iota
	// putAsync: a sender who neither waits nor hears of it. A Block mailbox takes the message all the same.
	putAsync
	// putConfirmed: a sender who hears of it, but cannot wait.
	putConfirmed
	// putAlways: signals, which always find room.
	putAlways
)

// put places a message into the mailbox. It never blocks. Errors: ErrNoProcess, ErrMailboxFull, and errWait for a local
// sender at a full Block mailbox.
func (p *Process) put(msg Message, mode putMode) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return ErrNoProcess
	}
	if p.bound != nil && mode != putAlways && len(p.queue) >= p.bound.capacity {
		if err := p.overflow(mode); err != nil {
			p.mu.Unlock()
			return err
		}
	}
	if p.bound != nil {
		p.bound.added++
		msg = &slot{item: msg}
	}
	p.queue = append(p.queue, msg)
	warn := 0
	if uint32(len(p.queue)) >= p.warnAt {
		warn = p.passMark()
	}
	wake := p.unpark()
	start := p.body != nil && !p.running
	p.running = p.running || start
	p.mu.Unlock()
	wake.send()
	if start {
		p.rt.workers.start(p)
	}
	if warn > 0 {
		p.rt.warnHighWater(p, warn)
	}
	return nil
}

// wakeup is the channel of a parked owner, nil when it is not parked.
type wakeup chan struct{}

// send wakes the owner. It does not block: the channel has room for the one wakeup that unpark allows.
func (w wakeup) send() {
	if w != nil {
		w <- struct{}{}
	}
}

// unpark is called with mu held. What it returns is sent to after mu has been released.
func (p *Process) unpark() wakeup {
	if !p.waiting {
		return nil
	}
	p.waiting = false
	return p.wake
}

// next takes the first message that is there, if any.
func (p *Process) next() (Message, bool) {
	for {
		item, found := p.pop(popOnly)
		if found != popItem {
			return nil, false
		}
		if msg, ok := p.open(item); ok {
			return msg, true
		}
	}
}

// popMode says what pop does when there is nothing: just say so, park the behaviour, or mark the owner as waiting.
type popMode uint8

const (
	popOnly popMode = iota
	popPark
	popWait
)

// popped is what pop came to.
type popped uint8

const (
	popNothing popped = iota // nothing there, or the process is to end
	popItem
	popParked // nothing there, and the mode's step is done: whoever puts something in will act on it
)

// pop takes the first item: from the batch in hand, which only the owner touches, or else from the queue. A bounded
// mailbox has no batch, since its senders must be able to count and to drop.
func (p *Process) pop(mode popMode) (Message, popped) {
	if p.head < len(p.batch) {
		item := p.batch[p.head]
		p.batch[p.head] = nil
		p.head++
		return item, popItem
	}
	p.mu.Lock()
	if len(p.queue) == 0 {
		p.warnAt, p.inHand = p.mark, 0
		p.batch, p.queue, p.head = keep(p.batch, keepIdle), keep(p.queue, keepIdle), 0
		found := p.rest(mode)
		p.mu.Unlock()
		return nil, found
	}
	if p.bound != nil {
		item, waiter := p.popBound()
		p.mu.Unlock()
		if waiter != nil {
			close(waiter)
		}
		return item, popItem
	}
	p.batch, p.queue = p.queue, keep(p.batch, keepBusy)
	p.head, p.inHand = 1, uint32(len(p.batch))
	p.mu.Unlock()
	item := p.batch[0]
	p.batch[0] = nil
	return item, popItem
}

// rest is what an owner that found nothing does. mu is held.
func (p *Process) rest(mode popMode) popped {
	if mode == popOnly || p.exiting.Load() {
		return popNothing
	}
	if mode == popPark {
		p.running = false
	} else {
		p.listen()
	}
	return popParked
}

// listen has whoever puts something in wake the owner. mu is held.
func (p *Process) listen() {
	if p.wake == nil {
		p.wake = make(chan struct{}, 1)
	}
	p.waiting = true
}

// What a mailbox keeps of its buffers, in messages: while it is in use, and while it is empty, when there may be a
// million of it.
const (
	keepBusy = 4096
	keepIdle = 8
)

// keep is the buffer emptied for the next use, or nothing if it is larger than limit.
func keep(buf []Message, limit int) []Message {
	if cap(buf) > limit {
		return nil
	}
	return buf[:0]
}

// open turns an item of the mailbox into the message that the process sees. Items that have lost their meaning while
// they waited, such as the DOWN of a monitor that was taken back, yield false.
func (p *Process) open(item Message) (Message, bool) {
	msg, ok := p.peek(item)
	return msg, ok && accept(item)
}

// peek is what the item would be as a message.
func (p *Process) peek(item Message) (Message, bool) {
	switch item := item.(type) {
	case downSignal:
		return item.m.down(), true
	case *encoded:
		msg, err := p.rt.Decode(item.data)
		if err != nil {
			p.rt.badMessage(err)
			return nil, false
		}
		return msg, true
	}
	return item, true
}

// accept settles that the item is received now, and reports whether it still can be.
func accept(item Message) bool {
	d, ok := item.(downSignal)
	return !ok || d.m.state.CompareAndSwap(monitorFired, monitorReceived)
}

// encoded is a message from another node, which its receiver decodes, so that the dispatcher need not.
type encoded struct{ data []byte }

// wait parks the owner until there may be something to look at, or ctx is done. idle, called with mu held, says that
// there is nothing.
func (p *Process) wait(ctx context.Context, idle func() bool) error {
	p.mu.Lock()
	if p.exiting.Load() || !idle() {
		p.mu.Unlock()
		return nil
	}
	p.listen()
	p.mu.Unlock()
	return p.block(ctx)
}

// block waits for the wakeup that listen has asked for, within ctx.
func (p *Process) block(ctx context.Context) error {
	done := ctx.Done()
	if own := p.ctx.Load(); done == nil || own != nil && ctx == own.Context {
		<-p.wake // the end of the process wakes it too; one channel costs half as much as a select of two
		return nil
	}
	select {
	case <-p.wake:
		return nil
	case <-done:
	}
	p.mu.Lock()
	waiting := p.waiting
	p.waiting = false
	p.mu.Unlock()
	if !waiting {
		<-p.wake // whoever took the flag sends, or has sent
		return nil
	}
	if p.exiting.Load() {
		return nil // it was the process's own context
	}
	return ctx.Err()
}
