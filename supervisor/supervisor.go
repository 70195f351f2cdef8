package supervisor

import (
	"context"
	"errors"
	"time"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/process"
)

// Strategy says which children are started again when one ends.
type Strategy uint8

const (
	// OneForOne starts only the child again that has ended. It is the default.
	OneForOne Strategy = iota
	// OneForAll stops all others, in reverse order, and starts all again, in order.
	OneForAll
	// RestForOne does so with the child that has ended and those that were started after it.
	RestForOne
)

// String is the name of the strategy.
func (s Strategy) String() string {
	switch s {
	case OneForOne:
		return "one_for_one"
	case OneForAll:
		return "one_for_all"
	case RestForOne:
		return "rest_for_one"
	}
	return "unknown"
}

// Intensity bounds how often children are started again. A supervisor that would have to do it more often than Restarts
// times in any span of Within gives up: it stops all children, and ends with an *IntensityError, so that its own
// supervisor may try on a larger scale.
type Intensity struct {
	// Restarts is the number that is still allowed. Zero means 3, a negative number none.
	Restarts int
	// Within is the span. Zero means 5 s.
	Within time.Duration
}

func (i Intensity) orDefault() Intensity {
	switch {
	case i.Restarts == 0:
		i.Restarts = 3
	case i.Restarts < 0:
		i.Restarts = 0
	}
	if i.Within <= 0 {
		i.Within = 5 * time.Second
	}
	return i
}

// Backoff delays restarts: by Min after a child has ended for the first time, then by twice as long each time it ends
// again, up to Max. A child that has run for the span of the intensity starts afresh. The zero value means no delay.
type Backoff struct {
	Min, Max time.Duration
}

// Spec describes a supervisor. The zero value has no children and restarts one for one.
type Spec struct {
	Strategy  Strategy
	Intensity Intensity
	Backoff   Backoff
	// Children are started in this order, each when the one before it runs, and stopped in reverse order.
	Children []Child
}

// Supervisor is a handle to a running supervisor, on any node. Its methods may be called concurrently, and wait for the
// supervisor, which may be busy starting or stopping a child, without limit unless ctx has one. Beside what they say
// themselves, they return process.ErrNoProcess or *genserver.ServerExitError when the supervisor has ended, and
// *genserver.NodeDownError when its node is gone.
type Supervisor struct {
	rt  *process.Runtime
	pid process.PID
	end *ending // nil for a handle made by At
}

// ending is how a supervisor that was started here has ended, for those who ask afterwards.
type ending struct {
	done   chan struct{}
	reason error // once done is closed
}

// Start starts a supervisor with its children, and returns when all run. If one cannot be started, those before it are
// stopped, and the error is a *StartError. Other errors: ErrBadSpec, those of genserver.Server.Start. The supervisor is
// a process that traps exits: options give it a name, or a link to whom it should end with.
func Start(ctx context.Context, rt *process.Runtime, spec Spec, opts ...process.SpawnOption) (*Supervisor, error) {
	if _, err := newPlan(spec); err != nil {
		return nil, err
	}
	opts = append(opts[:len(opts):len(opts)], process.WithTrapExit())
	end := &ending{done: make(chan struct{})}
	opts = append(opts, process.WithWatch(func(reason error) { end.reason = reason; close(end.done) }))
	pid, err := newServer(spec).Start(ctx, rt, opts...)
	if err != nil {
		return nil, err
	}
	return &Supervisor{rt: rt, pid: pid, end: end}, nil
}

// At is a handle to a supervisor that was started elsewhere.
func At(rt *process.Runtime, pid process.PID) *Supervisor { return &Supervisor{rt: rt, pid: pid} }

// PID is the supervisor's process.
func (s *Supervisor) PID() process.PID { return s.pid }

// Stop stops the children, in reverse order, and ends the supervisor with process.ErrShutdown. It is no error if it has
// ended already.
func (s *Supervisor) Stop(ctx context.Context) error {
	err := genserver.Stop(ctx, s.rt, s.pid, process.ErrShutdown)
	if errors.Is(err, process.ErrNoProcess) {
		return nil
	}
	return err
}

// Wait waits until the supervisor has ended, and returns its exit reason, or the error of ctx. A handle made by At learns the
// reason only if it waits before the end: afterwards it is process.ErrNoProcess.
func (s *Supervisor) Wait(ctx context.Context) error {
	if s.end != nil {
		select {
		case <-s.end.done:
			return s.end.reason
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ended := make(chan error, 1)
	m := s.rt.Monitor(ctx, s.pid, func(d process.Down) { ended <- d.Reason })
	defer m.Stop()
	select {
	case reason := <-ended:
		return reason
	case <-ctx.Done():
		return ctx.Err()
	}
}

// StartChild adds a child, behind the others, and returns when it runs. An empty ID is replaced by one made up, such as
// "child-1". A supervisor of another node cannot be given children, since functions do not travel. Errors: ErrRunning,
// ErrPresent, ErrBadSpec, and what the child's start returned; then it is not added.
func (s *Supervisor) StartChild(ctx context.Context, c Child) (process.PID, error) {
	return genserver.Call(genserver.NoTimeout(ctx), s.rt, s.pid, startChild{Child: c})
}

// StopChild stops a child. A temporary child is forgotten; others stay, and can be started by RestartChild. It is no
// error if the child does not run. Errors: ErrNoChild.
func (s *Supervisor) StopChild(ctx context.Context, id string) error {
	_, err := genserver.Call(genserver.NoTimeout(ctx), s.rt, s.pid, stopChild{ID: id})
	return err
}

// RestartChild starts a child that was stopped, or has ended for good. Errors: ErrNoChild, ErrRunning, and what the
// child's start returned.
func (s *Supervisor) RestartChild(ctx context.Context, id string) (process.PID, error) {
	return genserver.Call(genserver.NoTimeout(ctx), s.rt, s.pid, restartChild{ID: id})
}

// DeleteChild forgets a child that does not run. Errors: ErrNoChild, ErrRunning.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	_, err := genserver.Call(genserver.NoTimeout(ctx), s.rt, s.pid, deleteChild{ID: id})
	return err
}

// Children lists the children in the order of their starting.
func (s *Supervisor) Children(ctx context.Context) ([]Info, error) {
	v, err := s.view(ctx)
	return v.Children, err
}

func (s *Supervisor) view(ctx context.Context) (view, error) {
	return genserver.Call(genserver.NoTimeout(ctx), s.rt, s.pid, look{})
}

// Info is a child as Children lists it.
type Info struct {
	ID  string
	PID process.PID // zero unless it runs
	// Restart and Supervisor are as in its description.
	Restart    Restart
	Supervisor bool
	// Waiting says that it is about to be started, after a delay.
	Waiting bool
	// Restarts is how often it was started again.
	Restarts int
	// Uptime is how long it has been running.
	Uptime time.Duration
}
