package node

import (
	"context"
	"time"

	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// farewell bounds how long Shutdown waits for peers that do not answer, where its context allows more.
const farewell = 3 * time.Second

// Shutdown leaves the mesh: peers are told that the node is about to leave (see Drain), what was sent is handed on, peers
// are told goodbye and report ReasonShutdown, then the node stops. A peer that does not take its frames is waited for up
// to 3 s, or until ctx ends; the error is then ctx's, and the node has stopped all the same. Nodes that leave at once
// report ReasonShutdown of each other, also where one is gone before the other reads its answer. After it every call
// returns ErrClosed.
func (n *Node) Shutdown(ctx context.Context) error {
	if !n.leaving.CompareAndSwap(false, true) {
		<-n.done
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, farewell)
	defer cancel()
	if !n.cfg.Hidden { // which nobody chooses
		told, enough := context.WithTimeout(limited, drainPatience)
		_ = n.drain(told)
		enough()
	}
	n.control.do(func(t tableRef, now time.Time) { t.Leave(now) })
	n.flush(limited)
	n.goodbye(limited)
	n.handOn(limited)
	n.stop()
	return ctx.Err()
}

// Close stops the node now. Peers see its connection close.
func (n *Node) Close() error {
	n.leaving.Store(true)
	n.stop()
	return nil
}

// flush waits until every peer has handed on what was sent to it.
func (n *Node) flush(ctx context.Context) {
	for _, s := range n.peers.Load().byName {
		n.awaitIdle(ctx, s)
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

// goodbye tells every peer, behind all frames, and waits until it was taken.
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
	for s := range seen {
		n.part(s, membership.Shutdown)
	}
	for s, done := range seen {
		select {
		case <-done:
		case <-s.done:
		case <-ctx.Done():
			return
		}
	}
}

// handOn waits until the peers' own goodbyes are answered: a session that ended with one is over here and nothing waits
// for it, but the peer, which is leaving too, waits for the answer.
func (n *Node) handOn(ctx context.Context) {
	_ = n.control.call(func(tableRef, time.Time) {}) // behind the ends that the dispatcher reported
	_ = n.control.conn.FlushWithContext(ctx)         // the broker has them now, and writes out what it has before it closes a route
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
		if n.keeper != nil && n.keeper.started.Load() {
			<-n.keeper.stopped
		}
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
			_ = n.broker.Close()
		}
		n.watchers.close()
		n.change.fire()
		close(n.done)
	})
	<-n.done
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
