package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/internal/membership"
)

const (
	// settlePatience is how long a start waits for a node that is there but does not answer.
	settlePatience = time.Second
	// quietTime is how long nothing must have changed where gossip may still bring nodes of which nobody spoke.
	quietTime = 15 * time.Millisecond
)

// settle completes the start: it waits until those who were found and answer are connected, and fails if one of them
// has this node's name.
func (n *Node) settle(ctx context.Context) error {
	if !n.cfg.Hidden {
		limited, cancel := context.WithTimeout(ctx, settlePatience)
		err := n.WaitReady(limited)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	if err := n.twinError(); err != nil {
		return err
	}
	n.settled.Store(true)
	return n.control.call(func(t tableRef, _ time.Time) { t.Settle() })
}

// settledNow says whether everybody who is known and answers is connected.
func (n *Node) settledNow() bool {
	return n.keeper.open.Load() == 0 && n.control.pending.Load() == 0 && !n.control.searching(time.Now())
}

// WaitReady blocks until this node can be reached by its peers: discovery has reported, and every node that was found and
// answers has a session with this one, and so have those that they are connected to. It does not wait for a node that does
// not answer longer than 1 s. Where this node is no server of the cluster, it waits for a connection to one. Errors:
// ErrNameInUse while starting, ErrClosed, ctx.Err().
func (n *Node) WaitReady(ctx context.Context) error {
	patience := time.NewTimer(settlePatience)
	defer patience.Stop()
	for {
		changed := n.change.wait()
		if err := n.twinError(); err != nil {
			return err
		}
		if n.ctx.Err() != nil {
			return ErrClosed
		}
		var quiet, again <-chan time.Time
		switch {
		case n.settledNow() && n.alone():
			return nil
		case n.settledNow():
			quiet = time.After(quietTime)
		case n.control.reachable() && n.control.searching(time.Now()):
			again = time.After(searchQuiet / 10)
		}
		select {
		case <-quiet:
			return nil
		case <-again:
		case <-changed:
		case <-patience.C:
			if n.control.reachable() {
				return nil
			}
			patience.Reset(settlePatience) // for those who are found once it is
		case <-n.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// alone says whether nobody is there who could bring others.
func (n *Node) alone() bool { return len(*n.routed.Load()) == 0 && n.control.seen.Load() == 0 }

// WaitPeers blocks until at least count visible nodes are connected. Errors: ErrClosed, ctx.Err().
func (n *Node) WaitPeers(ctx context.Context, count int) error {
	for {
		changed := n.change.wait()
		if n.visible() >= count {
			return nil
		}
		select {
		case <-changed:
		case <-n.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%d of %d peers are connected: %w", n.visible(), count, ctx.Err())
		}
	}
}

// twin is told that another living node has this node's name.
func (n *Node) twin(id ID, where string) {
	n.log.Error().Str("other", id.String()).Str("address", where).Msg("another node has this node's name")
	n.twins.Store(&where)
	n.changed()
}

func (n *Node) twinError() error {
	if where := n.twins.Load(); where != nil && !n.settled.Load() {
		return fmt.Errorf("%w: %s is running at %s", ErrNameInUse, n.id.Name, *where)
	}
	return nil
}

// failedPeer is told that no session with a node came about.
func (n *Node) failedPeer(id ID, why membership.Why, err error) {
	if why == membership.NameInUse && (id.Name == n.id.Name || !n.settled.Load()) {
		// By its holder, or by a node that is connected to it and has just asked it.
		n.twin(id, "another place")
		return
	}
	n.noteRefusal("", id.Name, err)
	if why == membership.NotProven && n.proofLog.Allow(time.Now()) {
		n.log.Error().Err(err).Str("peer", id.String()).Msg("a session was refused: certificate and name do not go together")
		return
	}
	n.log.Debug().Err(err).Str("peer", id.String()).Msg("no session")
}

func isNameInUse(err error) bool { return errors.Is(err, discovery.ErrNameInUse) }
