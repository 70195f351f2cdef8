package process

import (
	"context"
	"fmt"
	"sync"
)

// kinds are the process types that can be started by name.
type kinds struct {
	mu sync.RWMutex // guards the fields below
	m  map[string]kind
}

// kind makes the body of a process from its arguments: a behaviour or a function.
type kind func(args any) (Behaviour, Func, error)

func (k *kinds) add(name string, make kind) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: process type %q", ErrBadName, name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m == nil {
		k.m = map[string]kind{}
	}
	if k.m[name] != nil {
		return fmt.Errorf("%w: process type %q", ErrTypeTaken, name)
	}
	k.m[name] = make
	return nil
}

func (k *kinds) get(name string) kind {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.m[name]
}

// RegisterFunc lets any node start processes on this one that run f, by name: see SpawnAt. A is the type of the
// arguments, which travel as a message does, so it must be registered unless it is a basic type. Errors: ErrTypeTaken,
// ErrBadName.
func RegisterFunc[A any](r *Runtime, name string, f func(self *Process, args A) error) error {
	return r.kinds.add(name, func(args any) (Behaviour, Func, error) {
		a, err := argsAs[A](name, args)
		return nil, func(self *Process) error { return f(self, a) }, err
	})
}

// RegisterBehaviour is RegisterFunc for processes that are behaviours. make runs before the process exists: what may
// take long belongs into Init. Its error is that of SpawnAt.
func RegisterBehaviour[A any](r *Runtime, name string, make func(args A) (Behaviour, error)) error {
	return r.kinds.add(name, func(args any) (Behaviour, Func, error) {
		a, err := argsAs[A](name, args)
		if err != nil {
			return nil, nil, err
		}
		b, err := make(a)
		return b, nil, err
	})
}

func argsAs[A any](name string, args any) (A, error) {
	a, ok := args.(A)
	if !ok && args != nil {
		return a, fmt.Errorf("%w: process type %q takes %T, not %T", ErrBadMessage, name, a, args)
	}
	return a, nil
}

// SpawnAt starts a process of a registered type on a node, this one included, with args (nil for the zero value). It
// returns when the process exists. Of the options WithLink and WithMonitor may be used once, and hold from before the
// process runs; a link whose parent ends meanwhile ends the new process too.
//
// Errors: ErrNoProcessType, what the type made of args as an *ExitError, ErrNameTaken, ErrNoConnection (the process may
// have been started, if the connection was lost on the way; then a link or monitor has ended it or tells), those of
// Encode, of ctx, ErrClosed.
func (r *Runtime) SpawnAt(ctx context.Context, nodeName, kind string, args any, opts ...SpawnOption) (PID, error) {
	if r.closed.Load() {
		return PID{}, ErrClosed
	}
	if nodeName == r.id.Name {
		pid, start, err := r.spawnKind(kind, args, opts)
		if err == nil {
			start()
		}
		return pid, err
	}
	var o spawnOptions
	for _, opt := range opts {
		opt(&o)
	}
	return r.spawnRemote(ctx, nodeNamed(nodeName), kind, args, &o)
}

// spawnKind makes a process of a registered type, and returns what sets it running.
func (r *Runtime) spawnKind(name string, args any, opts []SpawnOption) (pid PID, start func(), err error) {
	make := r.kinds.get(name)
	if make == nil {
		return PID{}, nil, fmt.Errorf("%w: %q", ErrNoProcessType, name)
	}
	var b Behaviour
	var f Func
	func() {
		returned := false
		defer func() {
			if !returned {
				err = caught(recover())
			}
		}()
		b, f, err = make(args)
		returned = true
	}()
	if err != nil {
		return PID{}, nil, err
	}
	p, ok := r.create(b, opts)
	if !ok {
		return PID{}, nil, ErrClosed
	}
	if p.isDead() {
		return PID{}, nil, errSpawn(p.exitReason())
	}
	return p.PID(), func() {
		if b != nil {
			p.begin()
		} else {
			go p.run(f)
		}
	}, nil
}
