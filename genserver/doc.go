// Package genserver gives processes the shape that most of them want: a state, and handlers for requests, which are
// answered, and for casts, which are not. The state belongs to one server and is touched by one handler at a time, so it
// needs no lock.
//
// A request is a type of its own, which declares what it is answered with; so the compiler checks callers and handlers
// alike:
//
//	type Add struct {
//		genserver.Returns[int] // an Add is answered with an int
//		N int
//	}
//
//	type counter struct{ n int }
//
//	func (c *counter) add(_ *genserver.Self, r Add) (int, error) {
//		c.n += r.N
//		return c.n, nil
//	}
//
//	var counters = &genserver.Server[*counter]{
//		Init:     func(*genserver.Self) (*counter, error) { return &counter{}, nil },
//		Handlers: []genserver.Handler[*counter]{genserver.OnCall((*counter).add)},
//	}
//
//	pid, err := counters.Start(ctx, rt, process.WithName("counter"))
//	total, err := genserver.Call(ctx, rt, pid, Add{N: 3}) // total is an int
//
// The server may be on any node: a call takes a PID, a name here or on another node, or a process.Via. Request, answer and
// cast types travel under their full Go names, and need no registration where both sides use the same types.
//
// # What a call promises
//
//   - It ends: with the answer, with the handler's error, after 5 seconds or the deadline of its context with ErrTimeout,
//     or as soon as the server or its node is gone, with *ServerExitError, process.ErrNoProcess or *NodeDownError.
//   - After any error but the handler's own the server may or may not have done what it was asked. A request is never
//     sent twice.
//   - An answer that comes too late is dropped, and never taken for another's.
//   - What one goroutine casts and calls to one server is handled in that order.
//
// A call from anywhere will do: the caller need not be a process. A handler that calls others passes its Self's Context,
// so that a call to itself is an error, not a deadlock. While a handler runs, the server does nothing else: to answer
// later, use OnCallLater; to ask without waiting, SendRequest or a Collection.
//
// # How a server ends
//
// By Self.Stop, by Stop from outside, by an error of a cast or message handler, by a panic, or as any process by an exit
// signal or a link. It takes a supervisor to start it again: see package supervisor.
package genserver
