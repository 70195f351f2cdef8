package process

import "fmt"

// SpawnOption changes how a process starts.
type SpawnOption func(*spawnOptions)

type spawnOptions struct {
	name      string
	trap      bool
	capacity  int
	policy    Policy
	highWater int
	parent    *Process
	monitors  []spawnMonitor
	watchers  []func(reason error)
	remote    *remoteWatch
	linkTo    PID // parent on another node, in the session linkConn
	linkConn  uint64
}

type spawnMonitor struct {
	owner *Process
	out   **Monitor
}

// WithName registers the new process under the name before it runs. When the name is taken, or bad, the process ends
// at once with ErrNameTaken or ErrBadName as its reason, without having run.
func WithName(name string) SpawnOption { return func(o *spawnOptions) { o.name = name } }

// WithLink links the new process to parent before it runs.
func WithLink(parent *Process) SpawnOption { return func(o *spawnOptions) { o.parent = parent } }

// WithMonitor lets owner monitor the new process from before it runs, and puts the monitor into m.
func WithMonitor(owner *Process, m **Monitor) SpawnOption {
	return func(o *spawnOptions) { o.monitors = append(o.monitors, spawnMonitor{owner: owner, out: m}) }
}

// WithWatch is Runtime.Watch from before the process runs. It has no effect on SpawnAt another node.
func WithWatch(fn func(reason error)) SpawnOption {
	return func(o *spawnOptions) { o.watchers = append(o.watchers, fn) }
}

// WithTrapExit starts the process with TrapExit(true).
func WithTrapExit() SpawnOption { return func(o *spawnOptions) { o.trap = true } }

// WithMailbox bounds the mailbox to capacity messages, of which policy says what happens to one too many. DOWN and
// EXIT messages always find room. Without this option, or with a capacity below one, the mailbox is unbounded.
func WithMailbox(capacity int, policy Policy) SpawnOption {
	return func(o *spawnOptions) { o.capacity, o.policy = capacity, policy }
}

// WithHighWater sets the length at which an unbounded mailbox of this process is reported. Zero means the runtime's.
func WithHighWater(messages int) SpawnOption { return func(o *spawnOptions) { o.highWater = messages } }

// Spawn starts a process that runs f on a goroutine of its own, and returns its PID at once. It never fails while the
// runtime is open; afterwards it returns the zero PID and f is not run.
func (r *Runtime) Spawn(f Func, opts ...SpawnOption) PID {
	p, ok := r.create(nil, opts)
	if !ok {
		return PID{}
	}
	go p.run(f)
	return p.PID()
}

// SpawnBehaviour starts a process that calls b, and returns its PID at once. The process has a goroutine only while it
// has messages. It never fails while the runtime is open; afterwards it returns the zero PID and b is not called.
func (r *Runtime) SpawnBehaviour(b Behaviour, opts ...SpawnOption) PID {
	p, ok := r.create(b, opts)
	if !ok {
		return PID{}
	}
	p.begin()
	return p.PID()
}

// Attach makes a process of the calling goroutine, so that a main function or a test can receive, monitor and link.
// The goroutine ends the process with Detach. When the process is told to end, its Context is cancelled and Receive
// says so; nothing else happens to the goroutine. On a closed runtime the process has ended already.
func (r *Runtime) Attach(opts ...SpawnOption) *Process {
	p, _ := r.create(nil, opts)
	return p
}

// Detach ends a process made by Attach. A nil reason means ErrNormal.
func (p *Process) Detach(reason error) { p.finish(reason) }

// create makes the process and what must be there before it runs. It reports whether the process may run.
func (r *Runtime) create(b Behaviour, opts []SpawnOption) (*Process, bool) {
	p := &Process{rt: r, id: r.lastID.Add(1), body: b, running: b != nil, mark: r.highWater, warnAt: r.highWater}
	if len(opts) == 0 {
		r.procs.put(p.id, p)
	} else if err := r.prepare(p, opts); err != nil {
		p.terminate(err)
		return p, true // it had a PID, and whoever watches it learns why it ended
	}
	if r.closed.Load() {
		p.terminate(ErrKilled)
		return p, false
	}
	return p, true
}

func (r *Runtime) prepare(p *Process, opts []SpawnOption) error {
	var o spawnOptions
	for _, opt := range opts {
		opt(&o)
	}
	p.trap = o.trap
	if o.highWater > 0 {
		p.mark, p.warnAt = uint32(o.highWater), uint32(o.highWater)
	}
	if o.capacity > 0 {
		p.bound = &bound{capacity: o.capacity, policy: o.policy}
	}
	r.procs.put(p.id, p)
	for _, fn := range o.watchers {
		p.addWatch(&watch{sink: watchFunc(fn), target: p}, nil) // it lives: nobody knows it yet
	}
	for _, m := range o.monitors {
		*m.out = m.owner.Monitor(p.PID())
	}
	if o.parent != nil {
		p.setParent(o.parent.PID())
		o.parent.Link(p.PID())
	}
	if o.remote != nil {
		o.remote.attach(p)
	}
	if !o.linkTo.IsZero() {
		p.setParent(o.linkTo)
		if err := p.linkFromRemote(o.linkTo, o.linkConn); err != nil {
			p.exitSignal(Exit{From: o.linkTo, Reason: err, Link: true})
		}
	}
	if o.name != "" {
		if err := r.Register(o.name, p.PID()); err != nil {
			return fmt.Errorf("spawn: %w", err)
		}
	}
	return nil
}
