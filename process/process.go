package process

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Message is what a process receives: the Go value that was sent. Within one node the value itself is passed, so it
// must not be changed after it was sent (SEND-10); from another node comes a copy.
type Message = any

// Func is the body of a process. The process ends when it returns: normally for nil, else with the error as its
// reason. A panic ends it too, with a *PanicError, and leaves the program alive.
type Func func(self *Process) error

// Process is the view that a process has of itself. Its methods are for the goroutine that runs the process, except
// PID, Runtime and Context, which any goroutine may call.
type Process struct {
	rt *Runtime
	id uint64

	// exiting is set once the process has been told to end, or has ended.
	exiting atomic.Bool

	mu       sync.Mutex // guards the fields below
	dead     bool
	waiting  bool // the owner is parked on wake
	reason   error
	name     string
	queue    []Message
	wake     chan struct{}
	ctx      *processContext
	watchers *watch

	// The fields below belong to the goroutine that runs the process.
	batch []Message
	head  int
}

type processContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

// PID is the identity of the process.
func (p *Process) PID() PID { return PID{Node: p.rt.id.Name, Incarnation: p.rt.id.Incarnation, ID: p.id} }

// Runtime is the runtime that runs the process.
func (p *Process) Runtime() *Runtime { return p.rt }

// Context is cancelled when the process is told to end, with the reason as its cause, and when it has ended.
func (p *Process) Context() context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx == nil {
		ctx, cancel := context.WithCancelCause(context.Background())
		p.ctx = &processContext{Context: ctx, cancel: cancel}
		if p.exiting.Load() {
			cancel(p.reason)
		}
	}
	return p.ctx
}

// SpawnOption changes how a process starts.
type SpawnOption func(*spawnOptions)

type spawnOptions struct{}

// Spawn starts a process that runs f on a goroutine of its own, and returns its PID at once. It never fails while the
// runtime is open; afterwards it returns the zero PID and f is not run.
func (r *Runtime) Spawn(f Func, opts ...SpawnOption) PID {
	p := &Process{rt: r, id: r.lastID.Add(1)}
	r.table.put(p)
	if r.closed.Load() {
		p.terminate(ErrKilled)
		return PID{}
	}
	go p.run(f)
	return p.PID()
}

// run is the life of a function process.
func (p *Process) run(f Func) {
	returned := false
	var err error
	defer func() {
		if !returned {
			if v := recover(); v != nil {
				err = &PanicError{Value: v, Stack: debug.Stack()}
			}
		}
		p.finish(err)
	}()
	err = f(p)
	returned = true
}

// finish ends the process with what its body came to. A process that had been told to end ends with that reason,
// unless it panicked.
func (p *Process) finish(err error) {
	var panicked *PanicError
	if p.exiting.Load() && !errors.As(err, &panicked) {
		p.mu.Lock()
		err = p.reason
		p.mu.Unlock()
	}
	if err == nil {
		err = ErrNormal
	}
	p.terminate(err)
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
	name, watchers, ctx, wake := p.name, p.watchers, p.ctx, p.wake
	p.queue, p.watchers = nil, nil
	for w := watchers; w != nil; w = w.next {
		w.listed = false
	}
	waiting := p.waiting
	p.waiting = false
	p.mu.Unlock()

	p.rt.table.remove(p.id)
	if name != "" {
		p.rt.names.release(name, p)
	}
	if ctx != nil {
		ctx.cancel(reason)
	}
	if waiting {
		wake <- struct{}{}
	}
	for w := watchers; w != nil; {
		next := w.next
		w.fire(reason)
		w = next
	}
}

// Exit sends an exit signal to a local process: its context is cancelled with the reason, and what it returns then is
// replaced by the reason. ErrNormal is ignored (LINK-19); ErrKill ends the process at once (LINK-18).
func (r *Runtime) Exit(pid PID, reason error) {
	p := r.find(pid)
	if p == nil || reason == nil || errors.Is(reason, ErrNormal) {
		return
	}
	if errors.Is(reason, ErrKill) {
		p.terminate(ErrKilled)
		return
	}
	p.stop(reason)
}

// stop tells the process to end.
func (p *Process) stop(reason error) {
	p.mu.Lock()
	if p.exiting.Load() {
		p.mu.Unlock()
		return
	}
	p.reason = reason
	p.exiting.Store(true)
	ctx, wake, waiting := p.ctx, p.wake, p.waiting
	p.waiting = false
	p.mu.Unlock()
	if ctx != nil {
		ctx.cancel(reason)
	}
	if waiting {
		wake <- struct{}{}
	}
}
