package process

import (
	"errors"
	"runtime/debug"
)

// Exit is what a process that traps exits receives when an exit signal comes in.
type Exit struct {
	// From is the process that ended, or that called Exit; the zero PID when it was no process that did.
	From PID
	// Reason is why: ErrNoConnection when the link broke with the connection, ErrNoProcess when there was nobody to
	// link to.
	Reason error
	// Link says that the signal came along a link, and not from a call of Exit.
	Link bool
}

// run is the life of a function process.
func (p *Process) run(f Func) {
	returned := false
	var err error
	defer func() {
		if !returned {
			err = caught(recover())
		}
		p.finish(err)
	}()
	if p.exiting.Load() {
		err = p.exitReason()
	} else {
		err = f(p)
	}
	returned = true
}

// caught is the reason of a body that did not return: it panicked, or its goroutine was ended.
func caught(v any) error {
	if v == nil {
		return ErrGoexit
	}
	return &PanicError{Value: v, Stack: debug.Stack()}
}

// finalReason is the reason for which a body that came to err ends: one that had been told to end ends with the reason
// it was told, unless it panicked.
func (p *Process) finalReason(err error) error {
	if p.exiting.Load() {
		if _, panicked := errors.AsType[*PanicError](err); !panicked {
			return p.exitReason()
		}
	}
	if err == nil {
		return ErrNormal
	}
	return err
}

// finish ends the process with what its body came to. It runs on the goroutine of the process.
func (p *Process) finish(err error) {
	if p.out != nil {
		err = p.finalReason(err)
		p.stopPump(err)
	}
	if n := len(p.batch) - p.head; n > 0 {
		p.rt.stats.unread.Add(uint64(n))
		p.batch, p.head = nil, 0
	}
	p.terminate(p.finalReason(err))
}

func (p *Process) exitReason() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason
}

// terminate takes the process out of the world: nothing reaches it any more, its name is free, and whoever watched it
// is told. The first call decides the reason.
func (p *Process) terminate(reason error) {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return
	}
	p.dead = true
	p.reason = reason
	p.exiting.Store(true)
	p.ended.Store(true)
	name, ctx, links, aliases := p.name, p.ctx.Load(), p.links, p.aliases
	unread := len(p.queue)
	watchers, monitors := p.takeWatchers(), p.takeMonitors()
	p.queue, p.links, p.aliases = nil, nil, nil
	wake := p.unpark()
	waiters := p.bound.takeWaiters()
	p.mu.Unlock()

	r := p.rt
	r.procs.remove(p.id)
	if name != "" {
		r.names.release(name, p)
	}
	if unread > 0 {
		r.stats.unread.Add(uint64(unread))
	}
	if ctx != nil {
		ctx.cancel(reason)
	}
	wake.send()
	for _, w := range waiters {
		close(w)
	}
	for id := range aliases {
		r.aliases.remove(id)
	}
	p.release(monitors, links, watchers, reason)
}

// release tells the others that the process is gone.
func (p *Process) release(monitors *Monitor, links *linkSet, watchers *watch, reason error) {
	for m := monitors; m != nil; {
		next := m.ownerNext
		m.ownerNext, m.ownerPrev = nil, nil
		m.drop()
		m = next
	}
	for l := range links.each {
		p.rt.linkDied(p, l, reason)
	}
	for w := watchers; w != nil; {
		next := w.next
		w.next, w.prev = nil, nil
		w.sink.targetDown(reason)
		w = next
	}
}

// Exit sends an exit signal to a process, on whatever node it lives. It does not wait for the process to end. A process
// that traps exits gets it as a message; else its Context is cancelled with the reason, and whatever it then returns,
// it ends with the reason. A nil reason or ErrNormal is ignored by a process that does not trap (LINK-19). ErrKill
// ends the process at once, trapping or not (LINK-18): its mailbox is closed, its name is free, whoever watches it sees
// ErrKilled, though its goroutine lives on until it notices that its Context is cancelled.
func (r *Runtime) Exit(pid PID, reason error) { r.exit(PID{}, pid, reason) }

// Exit is Runtime.Exit with this process as the sender.
func (p *Process) Exit(pid PID, reason error) { p.rt.exit(p.PID(), pid, reason) }

func (r *Runtime) exit(from, to PID, reason error) {
	if reason == nil {
		reason = ErrNormal
	}
	if !r.local(to) {
		r.signalExit(from, to, reason)
		return
	}
	if p := r.procs.get(to.ID); p != nil {
		p.exitSignal(Exit{From: from, Reason: reason})
	}
}

// exitSignal is what an exit signal does to the process.
func (p *Process) exitSignal(e Exit) {
	if !e.Link && errors.Is(e.Reason, ErrKill) {
		p.terminate(ErrKilled)
		return
	}
	p.mu.Lock()
	trap := p.trap
	p.mu.Unlock()
	switch {
	case trap:
		_ = p.put(e, putAlways) // a process that has gone needs no signal
	case errors.Is(e.Reason, ErrNormal):
	default:
		p.stop(e.Reason)
	}
}

// stop tells the process to end. The first reason stays.
func (p *Process) stop(reason error) {
	p.mu.Lock()
	if p.exiting.Load() {
		p.mu.Unlock()
		return
	}
	p.reason = reason
	p.exiting.Store(true)
	ctx, wake := p.ctx.Load(), p.unpark()
	idle := p.body != nil && !p.running
	p.running = p.running || idle
	p.mu.Unlock()
	if ctx != nil {
		ctx.cancel(reason)
	}
	wake.send()
	if !idle {
		return
	}
	if _, cleans := p.body.(Terminator); cleans {
		p.rt.workers.start(p)
		return
	}
	p.terminate(reason)
}
