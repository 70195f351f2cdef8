package pg

import "sync"

// Stop ends the scope on this node: its members here are gone for every peer, as if the node had gone down (PG-28),
// its monitors end, and every call that changes or sends something returns ErrClosed (PG-25). The node may start it
// again with Groups.Scope, which gives a new Scope. Stop waits for broadcasts that are being handed to the node.
// Stopping twice is harmless.
func (s *Scope) Stop() { s.halt(false) }

// halt stops the scope. With a dead node nothing is sent.
func (s *Scope) halt(dead bool) {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return
	}
	s.stopped = true
	watches, watching := s.watches, s.monitors.all()
	lanes := s.lanes()
	if !dead {
		// With the lock held, so that a peer which goes now either is not among those told or is seen to go later. None
		// of them releases anything before it gets the goodbye below.
		for _, g := range s.table.self.groups.all() {
			s.taps.vacant(s.g, s.name, g.key(), s.told)
		}
	}
	s.table, s.peers, s.told = newTable(s.g.self), nil, nil
	s.watches, s.monitors = nil, monitors{}
	s.tellWaiters()
	s.mu.Unlock()

	for _, cancel := range watches {
		if cancel != nil {
			cancel()
		}
	}
	for _, m := range watching {
		m.end()
	}
	defer close(s.done)
	if dead {
		s.g.removeScope(s, nil)
		return
	}
	// What is being broadcast over topics comes before the goodbye: behind it, nobody waits for it.
	var flying sync.WaitGroup
	for _, c := range lanes {
		flying.Add(1)
		frame, to := appendRelease(nil, s.name, c.key, c.lane.gen), c.origin.id
		c.lane.close(func() {
			s.g.post(to, frame)
			flying.Done()
		})
	}
	flying.Wait()
	s.g.removeScope(s, appendHeader(nil, kindBye, s.name))
	s.g.tidy(s.name)
}

// lanes lists every lane of the table. The lock is held.
func (s *Scope) lanes() []change {
	var list []change
	for _, p := range s.peers {
		for _, g := range p.origin.groups.all() {
			if sh := g.share(p.origin); sh.more != nil && sh.more.lane != nil {
				list = append(list, change{key: g.key(), origin: p.origin, lane: sh.more.lane})
			}
		}
	}
	return list
}

// removeScope takes a scope out, and tells every peer so: also one that has just been asked for its members.
func (g *Groups) removeScope(s *Scope, bye []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replace(func(m map[string]*Scope) { delete(m, s.name) })
	if bye == nil {
		return
	}
	for id := range g.peers {
		g.post(id, bye)
	}
}
