package pg

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/kith-mesh/kith/node"
)

// WaitReady returns once every peer that is connected now has told its members, or that it does not run the scope: what
// the mesh knew when the scope started is known here. A scope works without it; it is for who must not act on half of
// the truth. It blocks until then. Errors: ErrClosed; ctx.Err(), with the names of the peers that have not answered.
func (s *Scope) WaitReady(ctx context.Context) error {
	for {
		missing, news, ok := s.waitsFor()
		switch {
		case !ok:
			return fmt.Errorf("%w: scope %q", ErrClosed, s.name)
		case len(missing) == 0:
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("%w: scope %q waits for %s", ctx.Err(), s.name, strings.Join(missing, ", "))
		}
	}
}

// waitsFor lists the peers that have not answered, and returns a channel that is closed when that may have changed.
func (s *Scope) waitsFor() (missing []string, news <-chan struct{}, ok bool) {
	s.g.mu.Lock()
	peers := make([]node.ID, 0, len(s.g.peers))
	for id := range s.g.peers {
		peers = append(peers, id)
	}
	s.g.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range peers {
		if _, ok := s.answered[id]; !ok {
			missing = append(missing, id.Name)
		}
	}
	if s.news == nil {
		s.news = make(chan struct{})
	}
	sort.Strings(missing)
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
