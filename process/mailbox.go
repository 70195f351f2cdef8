package process

import "context"

// enqueue puts a message into the mailbox. It never blocks.
func (p *Process) enqueue(msg Message) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return ErrNoProcess
	}
	p.queue = append(p.queue, msg)
	waiting, wake := p.waiting, p.wake
	p.waiting = false
	p.mu.Unlock()
	if waiting {
		wake <- struct{}{}
	}
	return nil
}

// Receive takes the next message out of the mailbox, and waits for one within ctx. The error is that of ctx, or, when
// the process has been told to end, the reason: the function should then return.
func (p *Process) Receive(ctx context.Context) (Message, error) {
	for {
		if p.exiting.Load() {
			return nil, p.exitReason()
		}
		if msg, ok := p.next(); ok {
			return msg, nil
		}
		if err := p.wait(ctx); err != nil {
			return nil, err
		}
	}
}

func (p *Process) exitReason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason
}

// next takes a message that is there already.
func (p *Process) next() (Message, bool) {
	if p.head == len(p.batch) {
		p.mu.Lock()
		p.batch, p.queue = p.queue, p.batch[:0]
		p.mu.Unlock()
		p.head = 0
		if len(p.batch) == 0 {
			return nil, false
		}
	}
	msg := p.batch[p.head]
	p.batch[p.head] = nil
	p.head++
	return msg, true
}

// wait parks the goroutine until there is something to look at.
func (p *Process) wait(ctx context.Context) error {
	p.mu.Lock()
	if len(p.queue) > 0 || p.exiting.Load() {
		p.mu.Unlock()
		return nil
	}
	if p.wake == nil {
		p.wake = make(chan struct{}, 1)
	}
	p.waiting = true
	p.mu.Unlock()
	done := ctx.Done()
	if done == nil {
		<-p.wake
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
		<-p.wake // whoever cleared the flag sends, or has sent
		return nil
	}
	return ctx.Err()
}
