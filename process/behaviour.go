package process

// Behaviour is a process that is called for each message, rather than one that asks for them. It needs no goroutine
// while its mailbox is empty, so that a million of them can wait at little cost.
//
// Handle is called for one message at a time, in order. A non-nil error ends the process with that reason: ErrNormal
// for a normal end. Handle may block, and may call Receive for the messages behind this one.
type Behaviour interface {
	Handle(self *Process, msg Message) error
}

// Initer is a Behaviour with something to do before its first message. A non-nil error ends the process with that
// reason.
type Initer interface {
	Init(self *Process) error
}

// Terminator is a Behaviour that wants to clean up. Terminate is called when the process ends, whatever the reason,
// after a panic too, but not when it was killed.
type Terminator interface {
	Terminate(self *Process, reason error)
}

// HandleFunc is a function used as a Behaviour.
type HandleFunc func(self *Process, msg Message) error

// Handle calls f.
func (f HandleFunc) Handle(self *Process, msg Message) error { return f(self, msg) }

// begin starts the behaviour: a goroutine only if there is something to do. Until then running was set, so that nobody
// else started one.
func (p *Process) begin() {
	_, first := p.body.(Initer)
	p.mu.Lock()
	start := !p.dead && (first || len(p.queue) > 0 || p.exiting.Load())
	p.running = start
	p.mu.Unlock()
	if start {
		go p.work(first)
	}
}

// work handles messages until there are none, or until the process ends. Then its goroutine is gone. first says that
// the behaviour has not been initialised yet.
func (p *Process) work(first bool) {
	var reason error
	returned := false
	defer func() {
		if !returned {
			reason = caught(recover())
		}
		switch {
		case reason == nil: // parked
		case first: // Init did not succeed: there is nothing to clean up
			p.finish(reason)
		default:
			p.leave(reason)
		}
	}()
	if first && !p.exiting.Load() {
		if reason = p.body.(Initer).Init(p); reason == nil {
			first = false
		}
	}
	if reason == nil {
		reason = p.drain()
	}
	returned = true
}

// drain handles what is in the mailbox. It returns nil when the process is parked, else why it ends.
func (p *Process) drain() error {
	for {
		if p.exiting.Load() {
			return p.exitReason()
		}
		item, found := p.pop(popPark)
		switch found {
		case popParked:
			return nil
		case popNothing:
			continue
		}
		msg, ok := p.open(item)
		if !ok {
			continue
		}
		if err := p.body.Handle(p, msg); err != nil {
			return err
		}
	}
}

// leave ends a behaviour: unless it was killed, it may clean up first.
func (p *Process) leave(reason error) {
	t, ok := p.body.(Terminator)
	if !ok || p.isDead() {
		p.finish(reason)
		return
	}
	returned := false
	defer func() {
		if !returned {
			reason = caught(recover())
		}
		p.finish(reason)
	}()
	t.Terminate(p, p.finalReason(reason))
	returned = true
}

func (p *Process) isDead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}
