package pg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kith-mesh/kith/node"
)

// WaitReady returns once every visible peer that is connected now has told its members, or that it does not run the
// scope, or does not speak of groups at all: what the mesh knew when the scope started is known here. A scope works
// without it; it is for who must not act on half of the truth. It blocks until then. Errors: ErrClosed; ctx.Err(), with
// the names of the peers that have not answered.
func (s *Scope) WaitReady(ctx context.Context) error {
	asked := make(map[uint64]bool) // by session
	silent := make(map[uint64]bool)
	for {
		missing, news, ok := s.waitsFor(silent)
		switch {
		case !ok:
			return fmt.Errorf("%w: scope %q", ErrClosed, s.name)
		case len(missing) == 0:
			return nil
		}
		fresh := false
		for _, p := range missing {
			if !asked[p.Conn] {
				asked[p.Conn], fresh = true, true
				silent[p.Conn] = !s.speaks(ctx, p)
			}
		}
		if fresh {
			continue
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%w: scope %q waits for %s", ctx.Err(), s.name, names(missing))
		}
	}
}

// speaks reports whether a peer has a program that keeps groups, so that news of it come: its answer, or its end. It waits
// for a peer that has just come up to say so. Of a session that has ended, or is about to, nobody tells if the peer has no
// such program. Where this node stops, or ctx is over, it is not known.
func (s *Scope) speaks(ctx context.Context, p node.Peer) bool {
	err := s.g.net.Send(ctx, p.ID, node.ProtocolGroups, node.NoConnect, appendHeader(nil, kindProbe, s.name))
	return err == nil || ctx.Err() != nil || errors.Is(err, node.ErrClosed)
}

func names(peers []node.Peer) string {
	list := make([]string, len(peers))
	for i, p := range peers {
		list[i] = p.Name
	}
	return strings.Join(list, ", ")
}

// waitsFor lists the peers that have not answered, and returns a channel that is closed when that may have changed.
func (s *Scope) waitsFor(silent map[uint64]bool) (missing []node.Peer, news <-chan struct{}, ok bool) {
	peers := s.g.net.Peers()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range peers {
		if _, ok := s.answered[p.ID]; !ok && !p.Hidden && !silent[p.Conn] {
			missing = append(missing, p)
		}
	}
	if s.news == nil {
		s.news = make(chan struct{})
	}
	return missing, s.news, !s.stopped
}

// hasAnswered notes that a peer has told what there is to know. The lock is held.
func (s *Scope) hasAnswered(id node.ID) {
	if _, ok := s.answered[id]; !ok {
		s.answered[id] = struct{}{}
		s.tellWaiters()
	}
}

func (s *Scope) tellWaiters() {
	if s.news != nil {
		close(s.news)
		s.news = nil
	}
}
