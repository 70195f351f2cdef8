package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// Connect sees to it that there is a session with the node of that name, and returns it. It blocks until the session is
// up, within ctx and Config.Setup. A node that was disconnected on purpose is connected again. Errors: ErrBadName,
// ErrNoNode (nobody knows the name), ErrNotConnected (it does not answer), ErrRefused, ErrNameInUse, ErrClosed, ctx.Err();
// ErrBadArgument for this node itself.
func (n *Node) Connect(ctx context.Context, name string) (Peer, error) {
	if _, _, err := ParseName(name); err != nil {
		return Peer{}, err
	}
	if name == n.id.Name {
		return Peer{}, fmt.Errorf("%w: %s is this node", ErrBadArgument, name)
	}
	if err := n.cfg.admit(name); err != nil {
		return Peer{}, err
	}
	asked := time.Now()
	for wished := false; ; {
		changed := n.change.wait()
		if p, ok := n.open(name); ok {
			return p, nil
		}
		if n.leaving.Load() {
			return Peer{}, ErrClosed
		}
		id, known, err := n.find(name)
		if err != nil {
			return Peer{}, err
		}
		if known {
			return n.call(ctx, id)
		}
		if !wished {
			n.keeper.wish(ctx, name)
			wished = true
			continue
		}
		waited := time.Since(asked)
		if n.settledNow() && (n.alone() || waited >= searchQuiet) || waited >= settlePatience {
			return Peer{}, fmt.Errorf("%w: %s", ErrNoNode, name)
		}
		select {
		case <-changed:
		case <-time.After(searchQuiet / 10): // those whom nobody named may yet show
		case <-ctx.Done():
			return Peer{}, ctx.Err()
		}
	}
}

// open is the session with a node, unless it is about to end.
func (n *Node) open(name string) (Peer, bool) {
	s := n.peers.Load().byName[name]
	if s == nil || s.over() {
		return Peer{}, false
	}
	return s.peer, true
}

// find looks a name up among those that can be reached.
func (n *Node) find(name string) (id membership.ID, known bool, err error) {
	err = n.control.call(func(t tableRef, _ time.Time) { id, _, known = t.Find(name) })
	return id, known, err
}

// call asks the table for a session and waits for what comes of it.
func (n *Node) call(ctx context.Context, id membership.ID) (Peer, error) {
	answer := make(chan error, 1)
	await := func(tableRef, time.Time) { n.control.waiters[id] = append(n.control.waiters[id], answer) }
	n.control.do(await)
	for {
		changed := n.change.wait()
		if p, ok := n.open(id.Name); ok {
			return p, nil
		}
		// Said again after each change: while a session that is about to end still counts, a wish is not noted.
		n.control.do(func(t tableRef, now time.Time) { t.Connect(now, id) })
		select {
		case err := <-answer:
			if p, ok := n.open(id.Name); ok {
				return p, nil
			}
			if err != nil {
				return Peer{}, err
			}
			n.control.do(await) // that was a session which is over again: the wish stands
		case <-changed:
		case <-n.ctx.Done():
			return Peer{}, ErrClosed
		case <-ctx.Done():
			return Peer{}, ctx.Err()
		}
	}
}

// Disconnect ends the session with a node, behind what was sent to it, and reports whether there was one (NET-14). Both
// sides report ReasonDisconnect. The session stays down until somebody sends to the node, or either side connects
// (NET-15). It may return before the nodedown is delivered.
func (n *Node) Disconnect(name string) bool {
	s := n.peers.Load().byName[name]
	if s == nil || !n.part(s, membership.Disconnect) {
		return false
	}
	n.dispatcher.do(func() {
		n.control.ended(s.peer.Conn, membership.Disconnect, "")
		n.dispatcher.lower(s, membership.Disconnect, "this node disconnected")
	})
	return true
}

// Ping connects to a node, where AutoConnect lets it, and measures a round trip on the control account. Pinging this node itself takes
// no time and succeeds (NET-09). Errors: as of Connect, and ErrNotConnected when no answer comes within ctx or four
// ticks.
func (n *Node) Ping(ctx context.Context, name string) (time.Duration, error) {
	if name == n.id.Name {
		return 0, n.closedOr(n.ctx.Err())
	}
	if _, ok := n.open(name); !ok && !n.unasked(name) {
		return 0, fmt.Errorf("%w: %s, and only Connect may change that", ErrNotConnected, name)
	}
	p, err := n.Connect(ctx, name)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, membership.Misses*n.Tick())
	defer cancel()
	began := time.Now()
	if err := n.probe(ctx, p); err != nil {
		return 0, fmt.Errorf("%w: %s does not answer: %w", ErrNotConnected, name, err)
	}
	return time.Since(began), nil
}

// unasked says whether a session with that name may open for a signal alone.
func (n *Node) unasked(name string) (may bool) {
	if n.cfg.AutoConnect == AutoAlways {
		return true
	}
	_ = n.control.call(func(t tableRef, _ time.Time) { may = t.Unasked(name) })
	return may
}

// probe asks one peer whether it is there.
func (n *Node) probe(ctx context.Context, p Peer) error {
	token := n.fences.Add(1)
	answer := make(chan struct{})
	n.control.do(func(tableRef, time.Time) {
		n.control.pings[token] = answer
		m := wire.Control{Verb: wire.Probe, Conn: p.Conn, Token: token, From: wire.Info{Name: n.id.Name, Incarnation: n.id.Incarnation}}
		n.control.Control(membership.ID(p.ID), m)
	})
	defer n.control.do(func(tableRef, time.Time) { delete(n.control.pings, token) })
	gone := n.sessionDone(p)
	select {
	case <-answer:
		return nil
	case <-gone:
		return errGone
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errGone says that a session ended while something was waited for.
var errGone = errors.New("its session ended")

// sessionDone is closed when the session is over.
func (n *Node) sessionDone(p Peer) <-chan struct{} {
	if s := n.peers.Load().byID[p.ID]; s != nil && s.peer.Conn == p.Conn {
		return s.done
	}
	closed := make(chan struct{})
	close(closed)
	return closed
}

// Tick is the node's tick interval.
func (n *Node) Tick() time.Duration { return time.Duration(n.tick.Load()) }

// SetTick changes the tick interval at run time; peers are told at once, so none misses a tick for it. Intervals may
// differ between nodes (NET-45, NET-46). Errors: ErrBadArgument under 10 ms, ErrClosed.
func (n *Node) SetTick(d time.Duration) error {
	if d < minTick {
		return fmt.Errorf("%w: tick %v is under %v", ErrBadArgument, d, minTick)
	}
	n.tick.Store(int64(d))
	return n.control.call(func(t tableRef, now time.Time) { t.SetInterval(now, d) })
}
