package process

import (
	"context"
	"slices"
	"time"
)

// Receive takes the next message out of the mailbox, and waits for one within ctx. The error is that of ctx, or,
// when the process has been told to end, the reason: the function should then clean up and return. A message that is there already is taken even when ctx is done.
func (p *Process) Receive(ctx context.Context) (Message, error) {
	for {
		if p.exiting.Load() {
			return nil, p.exitReason()
		}
		switch item, found := p.pop(popWait); found {
		case popItem:
			if msg, ok := p.open(item); ok {
				return msg, nil
			}
		case popParked:
			if err := p.block(ctx); err != nil {
				return nil, err
			}
		}
	}
}

// TryReceive takes the next message if one is there. It does not wait.
func (p *Process) TryReceive() (Message, bool) {
	if p.exiting.Load() {
		return nil, false
	}
	return p.next()
}

// ReceiveTimeout is Receive for at most d. The error is then context.DeadlineExceeded.
func (p *Process) ReceiveTimeout(d time.Duration) (Message, error) {
	if msg, ok := p.TryReceive(); ok {
		return msg, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return p.Receive(ctx)
}

// ReceiveMatch takes the first message for which match is true, and leaves those before it in the mailbox, in order.
// It waits for one within ctx. Errors are those of Receive. match may be called more than once for a message.
func (p *Process) ReceiveMatch(ctx context.Context, match func(Message) bool) (Message, error) {
	var s search
	find, idle := p.searchBatch, func() bool { return len(p.queue) == 0 }
	if p.bound != nil {
		p.bound.searches++
		s.number = p.bound.searches
		find, idle = p.searchBound, func() bool { return p.bound.added == s.added }
	}
	for {
		if p.exiting.Load() {
			return nil, p.exitReason()
		}
		if msg, ok := find(match, &s); ok {
			return msg, nil
		}
		if err := p.wait(ctx, idle); err != nil {
			return nil, err
		}
	}
}

// search is one selective receive.
type search struct {
	seen   int    // unbounded: how many messages from the front are known not to match
	number uint64 // bounded: marks the slots that are known not to match
	added  uint64 // bounded: how many messages had ever come in when we looked
}

// Receive takes the first message of type T out of the mailbox of p, and leaves the others in it: see ReceiveMatch.
// T may be an interface.
func Receive[T any](ctx context.Context, p *Process) (T, error) {
	msg, err := p.ReceiveMatch(ctx, func(m Message) bool {
		_, ok := m.(T)
		return ok
	})
	if err != nil {
		var zero T
		return zero, err
	}
	return msg.(T), nil
}

// searchBatch looks through an unbounded mailbox, which it moves into the batch in hand to do so.
func (p *Process) searchBatch(match func(Message) bool, s *search) (Message, bool) {
	p.mu.Lock()
	if p.head == len(p.batch) {
		p.batch, p.head = p.batch[:0], 0
	}
	p.batch = append(p.batch, p.queue...)
	clear(p.queue)
	p.queue = keep(p.queue, keepBusy)
	p.inHand = uint32(len(p.batch) - p.head)
	p.mu.Unlock()
	for i := p.head + s.seen; i < len(p.batch); i++ {
		item := p.batch[i]
		msg, ok := p.peek(item)
		if !ok {
			p.cut(i)
			continue
		}
		if _, raw := item.(*encoded); raw {
			p.batch[i], item = msg, msg // decode once
		}
		if !match(msg) {
			s.seen++
			continue
		}
		p.cut(i)
		if accept(item) {
			return msg, true
		}
	}
	return nil, false
}

// cut removes item i of the batch.
func (p *Process) cut(i int) {
	copy(p.batch[p.head+1:i+1], p.batch[p.head:i])
	p.batch[p.head] = nil
	p.head++
}

// searchBound looks through a bounded mailbox, which stays where it is, since senders may drop from it: match must not be
// called under the lock, so it looks at a copy of the list of slots.
func (p *Process) searchBound(match func(Message) bool, s *search) (Message, bool) {
	p.mu.Lock()
	slots := append([]Message(nil), p.queue...)
	s.added = p.bound.added
	p.mu.Unlock()
	for _, item := range slots {
		sl := item.(*slot)
		if sl.search == s.number {
			continue // looked at before
		}
		sl.search = s.number
		msg, ok := p.peek(sl.item)
		if ok && !match(msg) {
			continue
		}
		if p.takeSlot(sl) && ok && accept(sl.item) {
			return msg, true
		}
	}
	return nil, false
}

// takeSlot removes the slot from a bounded mailbox, and reports whether it was still there.
func (p *Process) takeSlot(sl *slot) bool {
	p.mu.Lock()
	i := slices.Index(p.queue, Message(sl))
	var waiter chan struct{}
	if i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
		waiter = p.admit()
	}
	p.mu.Unlock()
	if waiter != nil {
		close(waiter)
	}
	return i >= 0
}

// Messages is the mailbox as a channel, for use in a select with other channels. It is closed when the process is told
// to end. A process that has called Messages no longer uses the Receive methods: the channel takes messages ahead.
func (p *Process) Messages() <-chan Message {
	if p.out == nil {
		p.out = make(chan Message)
		go p.pump(p.Context().Done())
	}
	return p.out
}

// stopPump ends the pump, which must not touch the mailbox any more when the process lets go of it. What it had taken
// ahead stays unread.
func (p *Process) stopPump(reason error) {
	p.stop(reason)
	for range p.out {
		p.rt.stats.unread.Add(1)
	}
}

// pump moves messages from the mailbox into the channel until the process is told to end.
func (p *Process) pump(done <-chan struct{}) {
	defer close(p.out)
	for {
		msg, err := p.Receive(context.Background())
		if err != nil {
			return
		}
		select {
		case p.out <- msg:
		case <-done:
			p.rt.stats.unread.Add(1)
			return
		}
	}
}
