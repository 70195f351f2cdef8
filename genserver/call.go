package genserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// DefaultTimeout is how long a call waits if its context has no deadline (GEN-05).
const DefaultTimeout = 5 * time.Second

type noTimeoutKey struct{}

// NoTimeout is a context in which calls wait without limit, unless ctx has a deadline or is cancelled. A call still ends
// when the server or its node does.
func NoTimeout(ctx context.Context) context.Context {
	return context.WithValue(ctx, noTimeoutKey{}, true)
}

// withTimeout gives ctx the default deadline, unless it has one or wants none.
func withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok || ctx.Value(noTimeoutKey{}) != nil {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, DefaultTimeout)
}

// Call sends a request to a server and waits for the answer, for 5 s if ctx has no deadline: see NoTimeout. The address
// is a PID, a name on this or another node, or a process.Via.
//
// The error is what the handler returned, or says why there is no answer: ErrTimeout, process.ErrNoProcess (GEN-02),
// *NodeDownError (GEN-03, GEN-08), *ServerExitError (GEN-07), ErrCallingSelf, ErrUnknownRequest, ErrBadReply,
// process.ErrClosed, that of ctx, or those of process.Send. An error of the handler of another node arrives as a
// *process.ExitError with its text, unless its type is registered or it is one of package process.
func Call[Resp any](ctx context.Context, rt *process.Runtime, to process.Address, req Request[Resp]) (Resp, error) {
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	p := newPending[Resp](rt, to)
	p.send(ctx, req)
	return p.Receive(ctx)
}

// Cast sends a message to a server, and does not wait for anything but room in the window of a connected node. It
// returns nil also when there is no such server, name or node (GEN-13). Errors: those of process.Send.
func Cast(ctx context.Context, rt *process.Runtime, to process.Address, msg any) error {
	to, err := process.Resolve(to)
	if err != nil {
		return nil //nolint:nilerr // nobody has the name, which is no error of a cast
	}
	wrapped, err := wrap(rt, to, cast{msg})
	if err != nil {
		return err
	}
	if !isHere(rt, to) {
		if err := process.RegisterOwnNameOf(rt, msg); err != nil {
			return err
		}
	}
	return rt.SendAsync(ctx, to, wrapped)
}

// Stop ends a server with a reason, after what was sent to it before, and waits until it has ended, without limit unless
// ctx has one. A nil reason means process.ErrNormal. Errors: process.ErrNoProcess, *NodeDownError, ErrCallingSelf,
// *ServerExitError when it ended for another reason, ErrTimeout, that of ctx (GEN-27).
func Stop(ctx context.Context, rt *process.Runtime, to process.Address, reason error) error {
	if reason == nil {
		reason = process.ErrNormal
	}
	p := newPending[struct{}](rt, to)
	p.sendEnvelope(ctx, func(process.PID) any { return stop{reason} }, nil)
	_, err := p.Receive(ctx)
	exit, ok := errors.AsType[*ServerExitError](err)
	if ok && (errors.Is(exit.Reason, reason) || exit.Reason.Error() == reason.Error()) {
		return nil
	}
	return err
}

// isSelf reports whether ctx is that of the very process that the address leads to (GEN-10).
func isSelf(ctx context.Context, rt *process.Runtime, to process.Address) bool {
	self, ok := process.FromContext(ctx)
	if !ok || self.Runtime() != rt {
		return false
	}
	if name, ok := to.(process.Name); ok {
		if !isHere(rt, name) {
			return false
		}
		pid, found := rt.Whereis(name.Name)
		return found && pid == self.PID()
	}
	return to == process.Address(self.PID())
}

// Pending is a request whose answer has not been taken yet. Its methods are for one goroutine at a time.
type Pending[Resp any] struct {
	rt      *process.Runtime
	to      process.Address
	inbox   *process.Inbox
	monitor *process.Monitor
	ready   func() // called when something has come in
	sent    chan struct{}
	given   bool // up while it was being sent: whatever is below is not the caller's any more

	done     bool
	answered bool // by the server, be it with an error
	resp     Resp
	err      error
}

func newPending[Resp any](rt *process.Runtime, to process.Address) *Pending[Resp] {
	return &Pending[Resp]{rt: rt, to: to}
}

// SendRequest sends a request and returns at once; whatever goes wrong is the answer (GEN-25). ctx bounds only the time
// until it is sent. The answer must be taken, or the request abandoned.
func SendRequest[Resp any](ctx context.Context, rt *process.Runtime, to process.Address, req Request[Resp]) *Pending[Resp] {
	p := newPending[Resp](rt, to)
	p.start(ctx, req)
	return p
}

// start sends the request, on a goroutine of its own if it must connect first.
func (p *Pending[Resp]) start(ctx context.Context, req Request[Resp]) {
	if isConnected(p.rt, p.to) {
		p.send(ctx, req)
		return
	}
	p.sent = make(chan struct{})
	p.inbox = p.rt.NewInbox(2, p.ready)
	go func() {
		p.send(ctx, req)
		close(p.sent)
		if p.ready != nil {
			p.ready()
		}
	}()
}

func isConnected(rt *process.Runtime, to process.Address) bool {
	if isHere(rt, to) {
		return true
	}
	var name string
	switch to := to.(type) {
	case process.PID:
		name = to.Node
	case process.Name:
		name = to.Node
	default:
		return false
	}
	_, ok := rt.Node().Peer(name)
	return ok
}

// send sends the request.
func (p *Pending[Resp]) send(ctx context.Context, req Request[Resp]) {
	p.sendEnvelope(ctx, func(from process.PID) any { return call{from, req} }, func() error {
		return errors.Join(process.RegisterOwnNameOf(p.rt, req), process.RegisterOwnName[Resp](p.rt))
	})
}

// sendEnvelope monitors the server, and sends it an envelope, unless the monitor could not connect: what is to be
// answered is not sent by a surprising later connection (GEN-24). register comes before anything is sent elsewhere.
func (p *Pending[Resp]) sendEnvelope(ctx context.Context, envelope func(from process.PID) any, register func() error) {
	to, err := process.Resolve(p.to)
	if err != nil {
		p.finish(err)
		return
	}
	if isSelf(ctx, p.rt, to) {
		p.finish(ErrCallingSelf)
		return
	}
	if p.inbox == nil {
		p.inbox = p.rt.NewInbox(2, p.ready)
	}
	p.monitor = p.inbox.Monitor(ctx, to)
	msg, err := wrap(p.rt, to, envelope(p.inbox.PID()))
	if err == nil && register != nil && !isHere(p.rt, to) {
		err = register()
	}
	if err == nil {
		err = p.rt.SendTo(ctx, to, msg, node.NoConnect)
	}
	if err != nil && !errors.Is(err, process.ErrNoConnection) && !errors.Is(err, process.ErrNoProcess) {
		p.finish(timeoutOr(ctx, err, p.to)) // else the monitor tells
	}
}

// finish notes the outcome, and lets go of what the request held.
func (p *Pending[Resp]) finish(err error) {
	p.done, p.err = true, err
	if p.monitor != nil {
		p.monitor.Stop()
	}
	if p.inbox != nil {
		p.inbox.Close()
	}
}

// Wait waits for the answer within ctx. When that ends first, the error is ErrTimeout or that of ctx, and the request
// stands: Wait may be called again (GEN-26). Once the answer has come, Wait returns it each time. Errors otherwise as of
// Call.
func (p *Pending[Resp]) Wait(ctx context.Context) (Resp, error) {
	var zero Resp
	if p.given {
		return zero, ErrAbandoned
	}
	if err := p.awaitSent(ctx); err != nil {
		return zero, err
	}
	if p.done {
		return p.resp, p.err
	}
	msg, err := p.inbox.Receive(ctx)
	switch {
	case errors.Is(err, process.ErrClosed):
		p.finish(process.ErrClosed)
	case err != nil:
		return zero, timeoutOr(ctx, err, p.to)
	default:
		if d, ok := msg.(process.Down); ok && errors.Is(d.Reason, process.ErrNoConnection) && ctx.Err() != nil {
			p.finish(timeoutOr(ctx, ctx.Err(), p.to)) // the time was up before there was a connection
			break
		}
		p.resolve(msg)
	}
	return p.resp, p.err
}

// awaitSent waits until the request has been sent.
func (p *Pending[Resp]) awaitSent(ctx context.Context) error {
	if p.sent == nil {
		return nil
	}
	select {
	case <-p.sent:
		return nil
	default:
	}
	select {
	case <-p.sent:
		return nil
	case <-ctx.Done():
		return timeoutOr(ctx, ctx.Err(), p.to)
	}
}

// Receive is Wait for the last time: when ctx ends first, the request is abandoned (GEN-26).
func (p *Pending[Resp]) Receive(ctx context.Context) (Resp, error) {
	resp, err := p.Wait(ctx)
	if !p.settled() {
		p.Abandon()
	}
	return resp, err
}

// settled reports whether there is an answer.
func (p *Pending[Resp]) settled() bool {
	if p.given {
		return true
	}
	if p.sent != nil {
		select {
		case <-p.sent:
		default:
			return false
		}
	}
	return p.done
}

// Abandon gives the request up. An answer that comes later is dropped.
func (p *Pending[Resp]) Abandon() {
	if p.given {
		return
	}
	if p.sent != nil {
		select {
		case <-p.sent:
		default:
			p.given = true
			go func() { // it is still being sent
				<-p.sent
				p.drop()
			}()
			return
		}
	}
	p.drop()
}

func (p *Pending[Resp]) drop() {
	if !p.done {
		p.finish(ErrAbandoned)
	}
}

// poll takes the answer if it has come, and reports whether there is one.
func (p *Pending[Resp]) poll() bool {
	if p.given {
		return true
	}
	if p.sent != nil {
		select {
		case <-p.sent:
		default:
			return false
		}
	}
	if p.done {
		return true
	}
	msg, ok := p.inbox.TryReceive()
	if ok {
		p.resolve(msg)
	}
	return ok
}

// resolve takes over what came back.
func (p *Pending[Resp]) resolve(msg any) {
	switch m := unpack(p.rt, msg).(type) {
	case reply:
		p.answered = true
		if m.err != nil {
			p.finish(m.err)
			return
		}
		resp, ok := m.body.(Resp)
		if !ok && m.body != nil {
			p.finish(&BadReplyError{fmt.Sprintf("%s in place of %T", typeName(m.body), p.resp)})
			return
		}
		p.resp = resp
		p.finish(nil)
	case process.Down:
		p.finish(downError(p.to, m))
	default:
		p.finish(&BadReplyError{fmt.Sprintf("%T is no answer", msg)})
	}
}

// downError is what the end of the server means to its caller.
func downError(to process.Address, d process.Down) error {
	switch {
	case errors.Is(d.Reason, process.ErrNoProcess):
		return fmt.Errorf("%w: %v", process.ErrNoProcess, to)
	case errors.Is(d.Reason, process.ErrNoConnection):
		switch target := d.Target.(type) {
		case process.PID:
			return &NodeDownError{target.Node}
		case process.Name:
			return &NodeDownError{target.Node}
		}
	}
	return &ServerExitError{to, d.Reason}
}

// timeoutOr makes the end of a context an ErrTimeout, where it is that.
func timeoutOr(ctx context.Context, err error, to process.Address) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("%w: %v: %w", ErrTimeout, to, context.DeadlineExceeded)
	}
	return err
}
