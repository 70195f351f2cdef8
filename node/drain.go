package node

import (
	"context"
	"sync"
	"time"
)

// drainPatience bounds how long Shutdown waits for peers to have heard that the node is about to leave.
const drainPatience = 250 * time.Millisecond

// Drain tells all peers that this node is about to leave, and returns when they have heard it, or when ctx ends. From then
// on they show it as draining and choose it no more where they have a choice (see pg.Scope.PickAny), and strategies of
// discovery that announce it stop offering it. Sessions stay, calls are served, and messages arrive as before: what is to
// be handed over can be handed over. It is not taken back; Shutdown follows, which drains by itself where Drain was not
// called.
//
// A peer that does not answer is waited for until its session ends, or ctx does: then the error is ctx's, and the others
// know. Peers that come later learn it as their session opens. It may be called concurrently, and again. Errors: ErrClosed,
// ctx.Err().
func (n *Node) Drain(ctx context.Context) error {
	if n.leaving.Load() {
		return ErrClosed
	}
	return n.drain(ctx)
}

func (n *Node) drain(ctx context.Context) error {
	if n.draining.CompareAndSwap(false, true) {
		close(n.drained)
		if err := n.publishEntry(); err != nil {
			n.log.Warn().Err(err).Msg("the entry in the data dir does not say that this node is draining")
		}
		n.log.Info().Msg("draining")
	}
	if err := n.control.call(func(t tableRef, now time.Time) { t.Drain(now) }); err != nil {
		return err
	}
	// What was said on the control account before a question is known when its answer comes.
	var waiting sync.WaitGroup
	for _, p := range n.Peers() {
		waiting.Go(func() { _ = n.probe(ctx, p) })
	}
	waiting.Wait()
	return ctx.Err()
}

// IsDraining says whether this node is about to leave.
func (n *Node) IsDraining() bool { return n.draining.Load() }

// Draining says whether a node has said that it is about to leave: a peer with a session, or this node itself. It does not
// block, and is cheap.
func (n *Node) Draining(id ID) bool {
	if id == n.id {
		return n.draining.Load()
	}
	s := n.peers.Load().find(id)
	return s != nil && s.draining.Load()
}

// Draining implements membership.Effects.
func (c *controller) Draining(conn uint64) {
	if s := c.sessions[conn]; s != nil {
		s.draining.Store(true)
		c.n.log.Info().Str("peer", s.peer.ID.String()).Msg("the peer is draining")
		c.n.changed()
	}
}
