package node

import (
	"context"
	"sync"
	"time"

	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// farewell bounds how long Shutdown waits for peers that do not answer, where its context allows more. handOnPatience of it
// is kept for what was said to them to leave.
const (
	farewell       = 3 * time.Second
	handOnPatience = 250 * time.Millisecond
)

// keeperPatience bounds how long stop waits for the keeper, and brokerPatience then for the broker. Who connects to the
// cluster port and says nothing holds up a change of routes, in which the keeper then is, and a goroutine of the server, until
// his handshake is given up: a node that stops need not wait for that. All else of the server is closed by then.
const (
	keeperPatience = time.Second
	brokerPatience = time.Second
)

// Shutdown leaves the mesh: peers are told that the node is about to leave (see Drain), what was sent is handed on, peers
// are told goodbye and report ReasonShutdown, then the node stops. A peer that does not take its frames is waited for up
// to 3 s, or until ctx ends, and takes nothing from the others; the error is then ctx's, and the node has stopped all the
// same. Nodes that leave at once report ReasonShutdown of each other, also where one is gone before the other reads its
// answer. After it every call returns ErrClosed. It may be called again: then it waits, within ctx, for the end.
func (n *Node) Shutdown(ctx context.Context) error {
	if !n.leaving.CompareAndSwap(false, true) {
		select {
		case <-n.done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	limited, cancel := context.WithTimeout(ctx, farewell-handOnPatience)
	defer cancel()
	if !n.cfg.Hidden { // which nobody chooses
		told, enough := context.WithTimeout(limited, drainPatience)
		_ = n.drain(told)
		enough()
	}
	n.openNoMore(limited)
	n.goodbye(limited)
	rest, done := context.WithTimeout(ctx, handOnPatience)
	n.handOn(rest)
	done()
	n.stop()
	return ctx.Err()
}

// Close stops the node now. Peers see its connection close.
func (n *Node) Close() error {
	n.leaving.Store(true)
	n.stop()
	return nil
}

// openNoMore returns when no session opens any more, and those that have just been agreed on are known.
func (n *Node) openNoMore(ctx context.Context) {
	_ = n.control.call(func(t tableRef, now time.Time) { t.Leave(now) })
	known := make(chan struct{})
	n.dispatcher.do(func() { close(known) })
	select {
	case <-known:
	case <-time.After(handOnPatience): // a handler stands still
	case <-ctx.Done():
	}
}

// awaitIdle waits for one session. Acknowledgements come by themselves at a quarter of a window; for less they are
// asked for, by a tick.
func (n *Node) awaitIdle(ctx context.Context, s *session) {
	pause := time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	for !s.idle() {
		select {
		case <-timer.C:
			n.control.do(func(t tableRef, now time.Time) { t.TickNow(now, s.peer.Conn) })
			timer.Reset(pause)
			pause = min(2*pause, 100*time.Millisecond)
		case <-s.done:
			return
		case <-ctx.Done():
			return
		}
	}
}

// goodbye waits until each peer has handed on what was sent to it, tells it, and waits until that was taken. No peer waits
// for another.
func (n *Node) goodbye(ctx context.Context) {
	seen := map[*session]chan struct{}{}
	for _, s := range n.peers.Load().byName {
		seen[s] = make(chan struct{})
	}
	// The controller must know of them before the first can be answered.
	_ = n.control.call(func(tableRef, time.Time) {
		for s, done := range seen {
			n.control.byes[s.peer.Conn] = done
		}
	})
	var group sync.WaitGroup
	for s, done := range seen {
		group.Go(func() {
			n.awaitIdle(ctx, s)
			n.part(s, membership.Shutdown) // also to a peer that has not handed all of it on
			select {
			case <-done:
			case <-s.done:
			case <-ctx.Done():
			}
		})
	}
	group.Wait()
}

// handOn waits until goodbyes that nobody has answered are on their way, and until the peers' own are answered: a session
// that ended with one is over here and nothing waits for it, but the peer, which is leaving too, waits for the answer. What
// the broker has, it writes out before it closes a route.
func (n *Node) handOn(ctx context.Context) {
	n.out.await(ctx)
	_ = n.ordered.FlushWithContext(ctx)
	_ = n.control.call(func(tableRef, time.Time) {}) // behind the ends that the dispatcher reported
	_ = n.control.conn.FlushWithContext(ctx)
}

// part queues a goodbye behind everything that was sent in the session, and lets nothing be sent behind it. It reports
// whether the session was not over already.
func (n *Node) part(s *session, why membership.Why) bool {
	c := wire.Control{
		Verb: wire.Bye, Conn: s.peer.Conn, Why: string(why),
		From: wire.Info{Name: n.id.Name, Incarnation: n.id.Incarnation},
	}
	s.mu.Lock()
	if s.closing() {
		s.mu.Unlock()
		return false
	}
	o := newOp(opRaw)
	o.session, o.subject, o.buf = s, s.subject, append(o.buf, c.EncodeOrdered()...)
	s.last, s.parted = o, true
	n.out.push(o)
	if s.space != nil {
		close(s.space) // who waits for room need not wait any more
		s.space = nil
	}
	s.mu.Unlock()
	n.out.wakeWriter()
	return true
}

// stop ends every part, from the outside inwards. It is called once, or again without effect.
func (n *Node) stop() {
	n.once.Do(func() {
		// First of all nothing leaves any more: with the node's context the layers above end, and what they would say of
		// that (these processes have died) must not reach peers, to whom this node is gone.
		if n.out != nil {
			n.out.close()
		}
		n.cancel()
		held := !n.keeperEnds()
		if n.reservation != nil {
			_ = n.reservation.Release()
		}
		if n.out != nil {
			close(n.control.stop)
			<-n.control.stopped
			n.lowerAll()
			close(n.dispatcher.stop)
			<-n.dispatcher.stopped
		}
		if n.ordered != nil {
			n.ordered.Close()
		}
		if n.control != nil && n.control.conn != nil {
			n.control.conn.Close()
		}
		if n.broker != nil {
			n.endBroker(held)
		}
		n.watchers.close()
		n.change.fire()
		close(n.done)
	})
	<-n.done
}

// keeperEnds waits for the keeper, and reports whether it has ended.
func (n *Node) keeperEnds() bool {
	if n.keeper == nil || !n.keeper.started.Load() {
		return true
	}
	select {
	case <-n.keeper.stopped:
		return true
	case <-time.After(keeperPatience):
		return false
	}
}

// endBroker ends the broker, and waits less long for one that is held up.
func (n *Node) endBroker(held bool) {
	if !held {
		_ = n.broker.Close()
		return
	}
	limited, done := context.WithTimeout(context.Background(), brokerPatience)
	defer done()
	_ = n.broker.Shutdown(limited)
}

// lowerAll ends all sessions on this side, so that the layers above see their peers go.
func (n *Node) lowerAll() {
	d := n.dispatcher
	d.do(func() {
		for _, s := range d.conns {
			d.lower(s, membership.Shutdown, "this node stops")
		}
	})
}
