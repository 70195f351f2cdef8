package process

import (
	"context"
	"errors"
	"sync"

	"github.com/kith-mesh/kith/node"
)

func nodeNamed(name string) node.ID { return node.ID{Name: name} }

// outgoing is a frame in the making. The node copies what it is given, so it can be used again.
type outgoing struct {
	buf   []byte
	parts [1][]byte
}

var outgoings = sync.Pool{New: func() any { return new(outgoing) }}

// maxOutgoing is the size of the buffers that are kept for use again.
const maxOutgoing = 64 << 10

// sendMessage sends a frame whose body is a message.
func (r *Runtime) sendMessage(ctx context.Context, to node.ID, f *frame, msg any, flags node.SendFlags) error {
	o := outgoings.Get().(*outgoing)
	defer o.free()
	buf, err := r.types.now.Load().appendMessage(f.appendHead(o.buf[:0]), msg)
	if err != nil {
		return err
	}
	o.buf, o.parts[0] = buf, buf
	return r.net.Send(ctx, to, node.ProtocolProcess, flags, o.parts[:]...)
}

func (o *outgoing) free() {
	o.parts[0] = nil
	if cap(o.buf) <= maxOutgoing {
		outgoings.Put(o)
	}
}

// sendFrame sends a frame, and waits within ctx for a session and for room.
func (r *Runtime) sendFrame(ctx context.Context, to node.ID, f *frame, flags node.SendFlags) error {
	return r.net.Send(ctx, to, node.ProtocolProcess, flags, f.appendHead(nil), f.body)
}

// postFrame sends a frame without waiting, if there is a session.
func (r *Runtime) postFrame(to node.ID, f *frame) error {
	if r.node != nil && r.node.Context().Err() != nil {
		return ErrClosed // the node stops: its sessions end, and that says it all, be it first or not
	}
	err := r.net.Post(to, node.ProtocolProcess, f.appendHead(nil), f.body)
	if errors.Is(err, node.ErrTooLarge) {
		// Only reasons are that large. They are the last that a process says, so they may take their time.
		large := *f
		go r.sendReason(to, &large)
		return nil
	}
	return err
}

// sendReason sends a frame whose body is a large reason; if it is over the limit of messages, in short.
func (r *Runtime) sendReason(to node.ID, f *frame) {
	if err := r.sendFrame(r.ctx, to, f, node.NoConnect); errors.Is(err, node.ErrTooLarge) {
		f.body = shortReason(f.body)
		_ = r.postFrame(to, f) // when the session has gone there is nobody to tell
	}
}

// reply posts a frame to the peer of a session. When the session has gone there is nobody to tell.
func (r *Runtime) reply(to node.ID, f frame) { _ = r.postFrame(to, &f) }

// sendRemote sends a message to another node.
func (r *Runtime) sendRemote(ctx context.Context, to node.ID, f frame, msg any, flags node.SendFlags) error {
	if to.Name == r.id.Name || to.Name == "" {
		return r.toNobody(ErrNoProcess) // an earlier life of this node (SIG-12), or no process at all
	}
	return r.sendOutcome(r.sendMessage(ctx, to, &f, msg, flags), flags)
}

// sendOutcome is what the error of a send means to the sender of a message.
func (r *Runtime) sendOutcome(err error, flags node.SendFlags) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, node.ErrNotConnected) && flags&node.NoConnect != 0:
		return ErrNoConnection
	case unreachable(err):
		return r.toNobody(ErrNoProcess)
	case errors.Is(err, node.ErrClosed):
		return ErrClosed
	}
	return err
}

// unreachable reports whether a send failed because there is no way to the node.
func unreachable(err error) bool {
	return errors.Is(err, node.ErrNotConnected) || errors.Is(err, node.ErrNoNode) || errors.Is(err, node.ErrRefused) ||
		errors.Is(err, node.ErrNoProtocol) || errors.Is(err, node.ErrBadName)
}

// whyLost is the reason that monitors and links get when a signal to the node could not be sent.
func (r *Runtime) whyLost(to node.ID, err error) error {
	if errors.Is(err, node.ErrNoProtocol) {
		return ErrNoProcess // that node runs no processes
	}
	if errors.Is(err, node.ErrNoNode) && to.Incarnation != 0 {
		if p, ok := r.net.Peer(to.Name); ok && p.Incarnation != to.Incarnation {
			return ErrNoProcess // another life of the node is here: that one is over (SIG-12)
		}
	}
	return ErrNoConnection
}

// signalExit sends an exit signal to another node.
func (r *Runtime) signalExit(from, to PID, reason error) {
	if to.Node == r.id.Name || to.IsZero() {
		r.stats.sentToNobody.Add(1)
		return
	}
	f := frame{kind: frameExit, from: from.ID, to: to.ID, body: r.types.now.Load().encodeReason(reason)}
	err := r.sendFrame(r.ctx, to.NodeID(), &f, node.NoWait)
	if errors.Is(err, node.ErrWouldBlock) || errors.Is(err, node.ErrTooLarge) {
		err = r.postFrame(to.NodeID(), &f) // an exit signal is not held up by a full window (LINK-20)
	}
	if err != nil {
		r.stats.sentToNobody.Add(1)
	}
}

// ask sends a frame that the peer answers, and waits for the answer within ctx.
func (r *Runtime) ask(ctx context.Context, to node.ID, f *frame, q *request) (answer, error) {
	q.answer = make(chan answer, 1)
	r.peers.addRequest(to.Name, f.ref, q)
	r.begun(to.Name, &q.conn)
	if err := r.sendFrame(ctx, to, f, 0); err != nil {
		r.peers.takeRequest(to.Name, f.ref)
		switch {
		case unreachable(err):
			return answer{}, r.whyLost(to, err)
		case errors.Is(err, node.ErrClosed):
			return answer{}, ErrClosed
		}
		return answer{}, err
	}
	var err error
	select {
	case a, ok := <-q.answer:
		if !ok {
			return answer{}, ErrNoConnection
		}
		return a, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-r.ctx.Done():
		err = ErrClosed
	}
	if r.peers.abandon(to.Name, f.ref) {
		return answer{}, err
	}
	if a, ok := <-q.answer; ok { // it came at the same moment
		return a, nil
	}
	return answer{}, ErrNoConnection
}
