package pg

import (
	"errors"
	"sync"

	"github.com/kith-mesh/kith/node"
)

// tapSet connects the taps of one scope to the node's subscriptions.
type tapSet struct {
	mu   sync.Mutex // guards the fields below, and keeps subscriptions in the order of the taps
	taps *taps
}

// request takes the topic of a group, if it is not taken. A gen other than 0 is to be announced (see taps.request).
func (t *tapSet) request(g *Groups, scope string, k key) (gen uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	subscribe, gen := t.taps.request(k)
	if !subscribe {
		return gen
	}
	if err := g.net.Subscribe(k.topic(scope)); err != nil {
		t.taps.vacant(k, nil) // as if it had never been asked for: broadcasts go on coming over the session
		g.tapFailed(scope, k, err)
		return 0
	}
	g.stats.topics.Add(1)
	return gen
}

// generation is that of a topic in use, else 0.
func (t *tapSet) generation(k key) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taps.generation(k)
}

// vacant gives the topic of a group without local members back, once those that were told have released it.
func (t *tapSet) vacant(g *Groups, scope string, k key, told []node.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taps.vacant(k, told) {
		t.giveBack(g, scope, k)
	}
}

func (t *tapSet) released(g *Groups, scope string, k key, gen uint64, peer node.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taps.released(k, gen, peer) {
		t.giveBack(g, scope, k)
	}
}

// gone says that a peer, or its scope, is no more.
func (t *tapSet) gone(g *Groups, scope string, peer node.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.taps.gone(peer) {
		t.giveBack(g, scope, k)
	}
}

func (t *tapSet) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.taps.open) == 0
}

func (t *tapSet) giveBack(g *Groups, scope string, k key) {
	g.stats.topics.Add(-1)
	if err := g.net.Unsubscribe(k.topic(scope)); err != nil {
		g.tapFailed(scope, k, err)
	}
}

func (g *Groups) tapFailed(scope string, k key, err error) {
	if errors.Is(err, node.ErrClosed) {
		return
	}
	g.log.Error().Err(err).Str("scope", scope).Str("group", k.name).Msg("topic of a group not changed")
}

// onRelease takes a peer's word that nothing is under way to this node on a topic any more.
func (g *Groups) onRelease(p node.Peer, scope string, r *reader) {
	k := r.key()
	gen := r.uint()
	if t := g.tapsOf(scope); t != nil && r.err == nil {
		t.released(g, scope, k, gen, p.ID)
		g.tidy(scope)
	}
}

// releasedAll takes a peer's goodbye from a scope: nothing of it is under way on any topic. This node may have stopped
// the scope too, and even started it again, and still wait for the peer.
func (g *Groups) releasedAll(p node.Peer, scope string) {
	if t := g.tapsOf(scope); t != nil {
		t.gone(g, scope, p.ID)
		g.tidy(scope)
	}
}

func (g *Groups) tapsOf(scope string) *tapSet {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.retired[scope]
}

// tidy forgets the topics of a scope that does not run, when none is left.
func (g *Groups) tidy(scope string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t := g.retired[scope]; t != nil && (*g.scopes.Load())[scope] == nil && t.empty() {
		delete(g.retired, scope)
	}
}
