package genserver

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/kith-mesh/kith/process"
)

// Server describes servers with a state of type S, usually a pointer. One description serves to start any number of
// them. It must not be copied or changed after its first use.
type Server[S any] struct {
	// Init makes the state, on the server's own goroutine, before the first request. An error ends the server, and is
	// returned by Start. It must be set.
	Init func(self *Self) (S, error)
	// Handlers say what to do with each type of request and message, at most one for each.
	Handlers []Handler[S]
	// Terminate, if it is set, is called when the server ends, for whatever reason but being killed.
	Terminate func(state S, self *Self, reason error)

	once   sync.Once
	calls  map[reflect.Type]*Handler[S]
	casts  map[reflect.Type]*Handler[S]
	others map[reflect.Type]*Handler[S]
	rest   *Handler[S]
	err    error
}

// Self is a server's view of itself, for its handlers.
type Self struct {
	*process.Process
	reason error
}

// Stop ends the server when the handler that is running returns, and after its answer has been sent. A nil reason means
// process.ErrNormal.
func (s *Self) Stop(reason error) {
	if reason == nil {
		reason = process.ErrNormal
	}
	s.reason = reason
}

// prepare sorts the handlers.
func (s *Server[S]) prepare() error {
	s.once.Do(func() {
		s.calls, s.casts, s.others = map[reflect.Type]*Handler[S]{}, map[reflect.Type]*Handler[S]{}, map[reflect.Type]*Handler[S]{}
		if s.Init == nil {
			s.err = fmt.Errorf("%w: no Init", ErrBadServer)
		}
		for i := range s.Handlers {
			h := &s.Handlers[i]
			if h.kind == kindOther {
				if s.rest != nil {
					s.err = fmt.Errorf("%w: two handlers for other messages", ErrBadServer)
				}
				s.rest = h
				continue
			}
			table := map[kind]map[reflect.Type]*Handler[S]{kindCall: s.calls, kindCast: s.casts, kindMessage: s.others}[h.kind]
			if table == nil || table[h.typ] != nil {
				s.err = fmt.Errorf("%w: two handlers for %v", ErrBadServer, h.typ)
				continue
			}
			table[h.typ] = h
		}
	})
	return s.err
}

// Start starts a server and returns when its Init has, within ctx; if that ends first, the server is killed. Requests
// may be sent from any node; their types need no registration.
//
// Errors: that of Init, *AlreadyStartedError when the name of process.WithName is taken, ErrBadServer,
// process.ErrTypeTaken when two types would share a name, process.ErrClosed, that of ctx.
func (s *Server[S]) Start(ctx context.Context, rt *process.Runtime, opts ...process.SpawnOption) (process.PID, error) {
	b, err := s.body(rt)
	if err != nil {
		return process.PID{}, err
	}
	started := make(chan struct{})
	b.started = started
	ended := make(chan error, 1)
	opts = append(opts[:len(opts):len(opts)], process.WithWatch(func(reason error) { ended <- reason }))
	pid := rt.SpawnBehaviour(b, opts...)
	if pid.IsZero() {
		return process.PID{}, process.ErrClosed
	}
	select {
	case <-started:
		return pid, nil
	case reason := <-ended:
		select {
		case <-started: // it started, and ended at once
			return pid, nil
		default:
		}
		if taken, ok := errors.AsType[*process.NameTakenError](reason); ok {
			return process.PID{}, &AlreadyStartedError{taken.Holder}
		}
		return process.PID{}, fmt.Errorf("starting a server: %w", reason)
	case <-ctx.Done():
		rt.Exit(pid, process.ErrKill)
		return process.PID{}, ctx.Err()
	}
}

// Behaviour is a server to be started by other means, such as process.RegisterBehaviour, which lets other nodes start
// it. Errors: ErrBadServer, process.ErrTypeTaken.
func (s *Server[S]) Behaviour(rt *process.Runtime) (process.Behaviour, error) { return s.body(rt) }

func (s *Server[S]) body(rt *process.Runtime) (*body[S], error) {
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if err := registerHeads(rt); err != nil {
		return nil, err
	}
	for _, h := range s.Handlers {
		if h.register == nil {
			continue
		}
		if err := h.register(rt); err != nil {
			return nil, err
		}
	}
	return &body[S]{server: s}, nil
}

// body is a running server.
type body[S any] struct {
	server  *Server[S]
	self    Self
	state   S
	started chan struct{} // closed when Init has succeeded, unless it is nil
}

// Init makes the state.
func (b *body[S]) Init(p *process.Process) error {
	b.self.Process = p
	state, err := b.server.Init(&b.self)
	if err != nil {
		return err
	}
	if b.self.reason != nil {
		return b.self.reason
	}
	b.state = state
	if b.started != nil {
		close(b.started)
	}
	return nil
}

// Handle finds the handler of one message.
func (b *body[S]) Handle(p *process.Process, msg process.Message) error {
	if err := b.dispatch(unpack(p.Runtime(), msg)); err != nil {
		return err
	}
	return b.self.reason
}

func (b *body[S]) dispatch(msg any) error {
	s := b.server
	switch m := msg.(type) {
	case call:
		if h := s.calls[reflect.TypeOf(m.body)]; h != nil {
			return h.run(b.state, &b.self, m.body, m.from)
		}
		answer(b.self.Runtime(), m.from, nil, &UnknownRequestError{typeName(m.body)})
		return nil
	case cast:
		return b.other(s.casts, m.body)
	case stop:
		return m.reason
	}
	return b.other(s.others, msg)
}

// other runs the handler of a cast or message.
func (b *body[S]) other(table map[reflect.Type]*Handler[S], msg any) error {
	h := table[reflect.TypeOf(msg)]
	if h == nil {
		h = b.server.rest
	}
	if h == nil {
		log := b.self.Runtime().Node().Log()
		log.Warn().Stringer("pid", b.self.PID()).Str("type", typeName(msg)).Msg("a server has no handler for a message")
		return nil
	}
	return h.run(b.state, &b.self, msg, process.PID{})
}

// typeName is the type of a message for people.
func typeName(msg any) string {
	if raw, ok := msg.(process.Raw); ok {
		return raw.Type
	}
	return fmt.Sprintf("%T", msg)
}

// Terminate lets the server clean up.
func (b *body[S]) Terminate(_ *process.Process, reason error) {
	if b.server.Terminate != nil {
		b.server.Terminate(b.state, &b.self, reason)
	}
}
