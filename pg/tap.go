package pg

import "github.com/kith-mesh/kith/node"

// taps are the subscriptions of this node to the topics of its groups. A group takes its topic when somebody asks for
// it, and gives it back when its last local member has gone and every peer that was told has said that nothing is
// under way any more (see lane). It is a pure state machine: each call returns what is to be done.
type taps struct {
	gen  uint64
	open map[key]*tap
}

type tap struct {
	gen uint64
	// waiting is nil while the tap is in use. Afterwards it holds the peers that have not released it yet.
	waiting map[node.ID]struct{}
}

func newTaps() *taps { return &taps{open: make(map[key]*tap)} }

// request asks for the topic of a group that has local members. subscribe says that the topic is to be taken now;
// a gen other than 0 is to be announced to all peers, after subscribing.
func (t *taps) request(k key) (subscribe bool, gen uint64) {
	p := t.open[k]
	switch {
	case p == nil:
		t.gen++
		t.open[k] = &tap{gen: t.gen}
		return true, t.gen
	case p.waiting != nil: // on its way out: keep it
		t.gen++
		p.gen, p.waiting = t.gen, nil
		return false, t.gen
	}
	return false, 0
}

// generation is that of a topic in use, else 0.
func (t *taps) generation(k key) uint64 {
	if p := t.open[k]; p != nil && p.waiting == nil {
		return p.gen
	}
	return 0
}

// vacant says that the last local member of a group has gone. told are the peers that have to release it. The result
// says that the topic is to be given back now.
func (t *taps) vacant(k key, told []node.ID) (unsubscribe bool) {
	p := t.open[k]
	if p == nil || p.waiting != nil {
		return false
	}
	p.waiting = make(map[node.ID]struct{}, len(told))
	for _, id := range told {
		p.waiting[id] = struct{}{}
	}
	return t.settle(k, p)
}

// released says that a peer has nothing under way on a generation of a topic.
func (t *taps) released(k key, gen uint64, peer node.ID) (unsubscribe bool) {
	p := t.open[k]
	if p == nil || p.waiting == nil || p.gen != gen {
		return false
	}
	delete(p.waiting, peer)
	return t.settle(k, p)
}

// gone says that a peer will release nothing any more. The result is what is to be given back.
func (t *taps) gone(peer node.ID) (unsubscribe []key) {
	for k, p := range t.open {
		if _, ok := p.waiting[peer]; !ok {
			continue
		}
		delete(p.waiting, peer)
		if t.settle(k, p) {
			unsubscribe = append(unsubscribe, k)
		}
	}
	return unsubscribe
}

func (t *taps) settle(k key, p *tap) bool {
	if len(p.waiting) > 0 {
		return false
	}
	delete(t.open, k)
	return true
}
