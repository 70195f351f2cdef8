package genserver

import (
	"reflect"

	"github.com/kith-mesh/kith/process"
)

// Request is a request that is answered with a Resp. A type becomes one by embedding Returns:
//
//	type Add struct {
//		genserver.Returns[int]
//		N int
//	}
type Request[Resp any] interface {
	returns(Resp)
}

// Returns declares, where it is embedded, what a request is answered with. It is empty.
type Returns[Resp any] struct{}

func (Returns[Resp]) returns(Resp) {}

// Handler is what a server with state S does with one type of request or message: see OnCall, OnCallLater, OnCast,
// OnMessage and OnOther.
type Handler[S any] struct {
	kind     kind
	typ      reflect.Type
	register func(rt *process.Runtime) error
	run      func(state S, self *Self, body any, from process.PID) error
}

type kind uint8

const (
	kindCall kind = iota + 1
	kindCast
	kindMessage
	kindOther
)

// OnCall handles requests of type Req. What f returns is the answer, the error included: it goes to the caller, and the
// server goes on. To end the server, see Self.Stop.
func OnCall[S any, Req Request[Resp], Resp any](f func(state S, self *Self, req Req) (Resp, error)) Handler[S] {
	return Handler[S]{kindCall, reflect.TypeFor[Req](), registerBoth[Req, Resp],
		func(state S, self *Self, body any, from process.PID) error {
			resp, err := f(state, self, body.(Req))
			answer(self.Runtime(), from, resp, err)
			return nil
		}}
}

// OnCallLater handles requests that f does not answer itself: it keeps from, or passes it on, and somebody answers with
// From.Reply. An error is answered at once. A request that nobody ever answers ends in the caller's timeout (GEN-30).
func OnCallLater[S any, Req Request[Resp], Resp any](f func(state S, self *Self, req Req, from From[Resp]) error) Handler[S] {
	return Handler[S]{kindCall, reflect.TypeFor[Req](), registerBoth[Req, Resp],
		func(state S, self *Self, body any, from process.PID) error {
			if err := f(state, self, body.(Req), From[Resp]{from}); err != nil {
				answer(self.Runtime(), from, nil, err)
			}
			return nil
		}}
}

// OnCast handles casts of type Msg. An error ends the server with that reason.
func OnCast[S, Msg any](f func(state S, self *Self, msg Msg) error) Handler[S] {
	return Handler[S]{kindCast, reflect.TypeFor[Msg](), process.RegisterOwnName[Msg], withoutFrom(f)}
}

// OnMessage handles messages of type Msg that come from elsewhere: what other processes Send, a process.Down of a
// monitor, a process.Exit. An error ends the server with that reason.
func OnMessage[S, Msg any](f func(state S, self *Self, msg Msg) error) Handler[S] {
	return Handler[S]{kindMessage, reflect.TypeFor[Msg](), process.RegisterOwnName[Msg], withoutFrom(f)}
}

// OnOther handles casts and messages of types that have no handler. Without it they are dropped, with a warning in the
// log. An error ends the server with that reason.
func OnOther[S any](f func(state S, self *Self, msg any) error) Handler[S] {
	return Handler[S]{kind: kindOther, run: withoutFrom(f)}
}

func withoutFrom[S, Msg any](f func(S, *Self, Msg) error) func(S, *Self, any, process.PID) error {
	return func(state S, self *Self, body any, _ process.PID) error {
		msg, _ := body.(Msg) // the zero value for a nil
		return f(state, self, msg)
	}
}

func registerBoth[Req, Resp any](rt *process.Runtime) error {
	if err := process.RegisterOwnName[Req](rt); err != nil {
		return err
	}
	return process.RegisterOwnName[Resp](rt)
}

// From is where the answer to a request goes. It may be kept, passed to other goroutines, and sent to other processes.
type From[Resp any] struct {
	// Caller is the address that the answer goes to. It is not the PID of the calling process.
	Caller process.PID
}

// Reply answers the request. Only the first answer counts; one that comes too late is lost and counted. It does not
// wait.
func (f From[Resp]) Reply(rt *process.Runtime, resp Resp, err error) { answer(rt, f.Caller, resp, err) }
