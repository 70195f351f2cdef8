package supervisor

import (
	"context"
	"math"
	"time"

	"github.com/kith-mesh/kith/genserver"
	"github.com/kith-mesh/kith/process"
)

// Restart says when a child that has ended is started again.
type Restart uint8

const (
	// Permanent children are always started again. It is the default.
	Permanent Restart = iota
	// Transient children are started again unless they ended well: with process.ErrNormal or process.ErrShutdown.
	Transient
	// Temporary children are never started again, and forgotten when they end.
	Temporary
)

// String is the name of the setting.
func (r Restart) String() string {
	switch r {
	case Permanent:
		return "permanent"
	case Transient:
		return "transient"
	case Temporary:
		return "temporary"
	}
	return "unknown"
}

// The times that a child may take to end, beside ordinary durations.
const (
	// DefaultShutdown is what a child gets that says nothing. A child that is a supervisor gets Forever.
	DefaultShutdown = 5 * time.Second
	// Kill ends the child at once, without asking.
	Kill time.Duration = -1
	// Forever waits for the child however long it takes.
	Forever time.Duration = math.MaxInt64
)

// StartFunc starts a child and returns when it runs, or with an error when it cannot. It must link the new process to
// sup before it runs, as process.WithLink does. It runs on the supervisor, which does nothing else meanwhile; ctx ends
// with the supervisor.
type StartFunc func(ctx context.Context, sup *process.Process) (process.PID, error)

// Child describes a child. Make one with Func, Process, Behaviour, Server or Nested, and adjust its fields.
type Child struct {
	// ID tells the child from its siblings. It must be set, except for StartChild, which makes one up.
	ID string
	// Start starts the child.
	Start StartFunc
	// Restart says when it is started again. The zero value is Permanent.
	Restart Restart
	// Shutdown is how long the child may take to end when it is asked to; then it is killed. Zero means DefaultShutdown,
	// for a supervisor Forever.
	Shutdown time.Duration

	supervisor bool
}

// Func is a child that is a plain function. It should return when its context is cancelled; what it returns is the exit
// reason, nil is process.ErrNormal.
func Func(id string, f func(ctx context.Context) error, opts ...process.SpawnOption) Child {
	return Process(id, func(self *process.Process) error { return f(self.Context()) }, opts...)
}

// Process is a child that is a process with a mailbox.
func Process(id string, f process.Func, opts ...process.SpawnOption) Child {
	return Child{ID: id, Start: func(_ context.Context, sup *process.Process) (process.PID, error) {
		return running(sup.Runtime().Spawn(f, linked(sup, opts)...))
	}}
}

// Behaviour is a child that is a behaviour, made anew at each start.
func Behaviour(id string, make func() process.Behaviour, opts ...process.SpawnOption) Child {
	return Child{ID: id, Start: func(_ context.Context, sup *process.Process) (process.PID, error) {
		return running(sup.Runtime().SpawnBehaviour(make(), linked(sup, opts)...))
	}}
}

// Server is a child that is a server, with a new state at each start.
func Server[S any](id string, s *genserver.Server[S], opts ...process.SpawnOption) Child {
	return Child{ID: id, Start: func(ctx context.Context, sup *process.Process) (process.PID, error) {
		return s.Start(ctx, sup.Runtime(), linked(sup, opts)...)
	}}
}

// Nested is a child that is itself a supervisor.
func Nested(id string, spec Spec, opts ...process.SpawnOption) Child {
	return Child{ID: id, supervisor: true, Start: func(ctx context.Context, sup *process.Process) (process.PID, error) {
		s, err := Start(ctx, sup.Runtime(), spec, linked(sup, opts)...)
		if err != nil {
			return process.PID{}, err
		}
		return s.PID(), nil
	}}
}

func linked(sup *process.Process, opts []process.SpawnOption) []process.SpawnOption {
	return append(opts[:len(opts):len(opts)], process.WithLink(sup))
}

func running(pid process.PID) (process.PID, error) {
	if pid.IsZero() {
		return pid, process.ErrClosed
	}
	return pid, nil
}

// shutdown is the time that the child gets to end.
func (c *Child) shutdown() time.Duration {
	switch {
	case c.Shutdown != 0:
		return c.Shutdown
	case c.supervisor:
		return Forever
	}
	return DefaultShutdown
}
