package node

import (
	"context"
	"fmt"

	"github.com/kith-mesh/kith/internal/wire"
)

// SendFlags change what Send does where it cannot send at once.
type SendFlags uint8

// The flags of Send.
const (
	// NoWait has Send return ErrWouldBlock instead of waiting for the peer's window (SIG-10).
	NoWait SendFlags = 1 << iota
	// NoConnect has Send return ErrNotConnected instead of opening a session first (SIG-09).
	NoConnect
)

// backlogWarning is how many frames Post may have kept back for one peer before a warning is logged.
const backlogWarning = 100_000

// Handle installs the handler of a protocol, once for the life of the node. Sessions that are up already are announced
// to it before any frame. A peer's frames of this protocol come only after the peer knows of the handler, so none is
// missed by a program that is still starting. It blocks until the dispatcher has done it, and must not be called from
// a handler. Errors: ErrBadArgument, ErrClosed.
func (n *Node) Handle(p Protocol, h Handler) error {
	if p == protocolSession || p > maxProtocol || h == nil {
		return fmt.Errorf("%w: protocol %d", ErrBadArgument, p)
	}
	var err error
	if failed := n.Do(context.Background(), func() { err = n.dispatcher.install(p, h) }); failed != nil {
		return failed
	}
	return err
}

// Do runs f on the dispatcher, between two frames, and waits for it within ctx. It must not be called from a handler.
// Errors: ErrClosed, ctx.Err(); after the latter, f may still run.
func (n *Node) Do(ctx context.Context, f func()) error {
	done := make(chan struct{})
	n.dispatcher.do(func() { f(); close(done) })
	select {
	case <-done:
		return nil
	case <-n.dispatcher.stopped:
		select {
		case <-done:
			return nil
		default:
			return ErrClosed
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Send queues one frame for a node. What one goroutine sends to one node arrives in that order. The parts are sent as
// one payload, and copied before Send returns. It blocks while the peer's window is full, and while a session opens
// if there is none, within ctx. A zero incarnation means whichever life of the name is connected.
//
// A nil error says that the frame is on its way, not that it has arrived: if the session ends first, the frame is
// lost, and PeerDown tells. An error says that nothing was queued, or, for a message in parts, that the peer was told to
// forget what it has. Once PeerDown of a session has begun, nothing more is queued in it, and the next session with that
// name can be used only after it.
//
// Errors: ErrNotConnected, ErrNoNode (also for an incarnation that is not the connected one), ErrNoProtocol,
// ErrRefused, ErrWouldBlock, ErrTooLarge, ErrClosed, ctx.Err(); ErrBadArgument for a protocol out of range, and for this
// node itself, since layers deliver at home without the broker. Not to be called from a handler: see Post.
func (n *Node) Send(ctx context.Context, to ID, p Protocol, flags SendFlags, parts ...[]byte) error {
	if p == protocolSession || p > maxProtocol {
		return fmt.Errorf("%w: protocol %d", ErrBadArgument, p)
	}
	total := 0
	for _, b := range parts {
		total += len(b)
	}
	if total > n.cfg.MaxMessage {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, total, n.cfg.MaxMessage)
	}
	s := n.peers.Load().find(to)
	if s == nil || s.over() {
		var err error
		if s, err = n.openFor(ctx, to, flags); err != nil {
			return err
		}
	}
	if err := s.awaitProtocol(ctx, p, flags); err != nil {
		return n.closedOr(err)
	}
	n.counters.framesOut.Add(1)
	if total > maxWhole {
		return n.closedOr(n.sendParts(ctx, s, flags, p, total, parts))
	}
	return n.closedOr(s.enqueue(ctx, flags, p, wire.Whole, n.out, parts...))
}

// Taken is how much a peer has handed on of what this node sent it in its session, in bytes as the window charges them. It only
// grows: where it stands still while something is under way, the peer takes nothing in. It is 0 without a session. It does
// not block, and may be called concurrently.
func (n *Node) Taken(id ID) uint64 {
	s := n.peers.Load().find(id)
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// closedOr replaces an error that only says that this node has stopped.
func (n *Node) closedOr(err error) error {
	if err != nil && n.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

// openFor opens the session for Send, or finds one that just has.
func (n *Node) openFor(ctx context.Context, to ID, flags SendFlags) (*session, error) {
	switch {
	case n.ctx.Err() != nil:
		return nil, ErrClosed
	case to.Name == n.id.Name:
		if to.Incarnation != 0 && to.Incarnation != n.id.Incarnation {
			return nil, fmt.Errorf("%w: %s is an earlier life of this node", ErrNoNode, to)
		}
		return nil, fmt.Errorf("%w: %s is this node", ErrBadArgument, to.Name)
	}
	if _, ok := n.open(to.Name); !ok {
		if flags&NoConnect != 0 || !n.unasked(to.Name) {
			return nil, fmt.Errorf("%w: %s", ErrNotConnected, to.Name)
		}
		if _, err := n.Connect(ctx, to.Name); err != nil {
			return nil, err
		}
	}
	s := n.peers.Load().find(to)
	if s == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoNode, to)
	}
	return s, nil
}

// Post is Send for handlers: it never blocks and opens no session. Where the peer's window is full, the frame is kept
// back, in order, until there is room; so it is for what a protocol must say in answer, not for what an application
// wants to stream. Errors: ErrNotConnected, ErrTooLarge (over 128 KiB: split it), ErrBadArgument for a
// protocol out of range, ErrClosed.
func (n *Node) Post(to ID, p Protocol, parts ...[]byte) error {
	if p == protocolSession || p > maxProtocol {
		return fmt.Errorf("%w: protocol %d", ErrBadArgument, p)
	}
	total := 0
	for _, b := range parts {
		total += len(b)
	}
	if total > maxWhole {
		return fmt.Errorf("%w: %d bytes, a posted frame may have %d", ErrTooLarge, total, maxWhole)
	}
	s := n.peers.Load().find(to)
	if s == nil {
		return n.closedOr(fmt.Errorf("%w: %s", ErrNotConnected, to.Name))
	}
	n.counters.framesOut.Add(1)
	kept, err := s.post(p, n.out, parts...)
	if kept > 0 && kept%backlogWarning == 0 {
		n.log.Warn().Str("peer", s.peer.Name).Int("frames", kept).Msg("many frames wait for a peer whose window is full")
	}
	return n.closedOr(err)
}
