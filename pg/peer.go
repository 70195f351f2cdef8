package pg

import (
	"github.com/kith-mesh/kith/node"
)

// peering is what a scope keeps of one peer while there is a session with it.
type peering struct {
	origin *origin // its members
	synced bool    // it has told us all of them, so its changes make sense
	told   bool    // it runs the scope and was told all of ours, and gets our changes
	part   *part   // the beginning of a part that comes in pieces
	// barred are the topics that it takes for members which a rule refuses: nothing of this node is ever under way there,
	// but it wants to hear so.
	barred map[key]uint64
}

// peer returns what is kept of a peer. The lock is held.
func (s *Scope) peer(id node.ID) *peering {
	p := s.peers[id]
	if p == nil {
		p = &peering{origin: &origin{id: id}}
		s.peers[id] = p
	}
	return p
}

// frame takes one frame of a visible peer.
func (s *Scope) frame(from node.Peer, k kind, r *reader) {
	switch k {
	case kindMessage:
		s.onMessage(r)
		return
	case kindMany:
		s.g.takenIn(from, s.name, s.onMessage(r))
		return
	case kindCall:
		s.onCall(from.ID, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		s.g.stats.ignored.Add(1)
		return
	}
	switch k {
	case kindHello:
		s.sync(from.ID)
	case kindSync:
		s.onSync(from.ID, r)
	case kindUpdate:
		s.onUpdate(from.ID, r)
	case kindBye:
		s.lose(from.ID, "", true) // the groups see to the topics
		s.hasAnswered(from.ID)
	case kindAsk:
		s.onAsk(from.ID, r)
	case kindMissed:
		s.onMissed(from.ID, r)
	default:
		r.fail("unknown kind")
	}
}

// sync tells a peer all members of this node. From then on it gets every change. The lock is held.
func (s *Scope) sync(to node.ID) {
	p := s.peer(to)
	if !p.told {
		p.told = true
		s.told = append(s.told, to)
	}
	w := newSyncWriter(s.name, true, func(frame []byte) { s.g.post(to, frame) })
	s.table.parts(s.table.self, func(k key, sh *share) { w.add(s.part(k, sh)) })
	w.end(true)
}

// onSync takes what a peer says of all its members, or of all those of some groups.
func (s *Scope) onSync(from node.ID, r *reader) {
	p := s.peer(from)
	flags := r.byte()
	switch {
	case r.err != nil:
		return
	case flags&syncFirst != 0:
		p.synced, p.part = true, nil
		s.table.beginSync(p.origin)
	case !p.synced:
		s.g.stats.ignored.Add(1)
		return
	}
	for r.more() {
		next, continues := r.part()
		if r.err != nil {
			return
		}
		if p.part != nil && p.part.key == next.key {
			next = p.part.join(next)
		}
		if p.part = nil; continues {
			p.part = &next
			continue
		}
		if s.mayJoin(from, next.key, len(next.ids)) {
			s.applyAll(s.table.set(p.origin, next), "")
		}
		if len(next.ids) == 0 {
			s.releaseBarred(p, next.key) // before the part takes the topic off the list
		}
		s.barLane(p, next.key, next.lane)
	}
	if flags&syncLast != 0 && r.err == nil {
		list, _ := s.table.endSync(p.origin)
		s.applyAll(list, "")
		s.hasAnswered(from)
	}
	if !p.told {
		s.sync(from) // it runs the scope, and has not asked: its hello is on the way, or came before we ran it
	}
}

// join puts the pieces of a part together.
func (p *part) join(next part) part {
	next.ids = append(p.ids, next.ids...)
	if next.meta == nil {
		next.meta = p.meta
		return next
	}
	for id, m := range p.meta {
		next.meta[id] = m
	}
	return next
}

// onUpdate takes changes of a peer's members. Those of a peer that has told nothing yet are from another time (PG-30).
func (s *Scope) onUpdate(from node.ID, r *reader) {
	p := s.peers[from]
	if p == nil || !p.synced {
		s.g.stats.ignored.Add(1)
		return
	}
	for r.more() {
		s.onOp(p, r)
	}
}

func (s *Scope) onOp(p *peering, r *reader) {
	o := op(r.byte())
	k := r.key()
	switch o {
	case opJoin, opJoinMeta:
		ids := r.ids()
		var meta Meta
		if o == opJoinMeta {
			meta = r.meta()
		}
		if r.err == nil && len(ids) > 0 && s.mayJoin(p.origin.id, k, len(ids)) {
			c := s.table.join(k, p.origin, ids, meta)
			s.apply(&c, "")
		}
	case opLeave:
		ids := r.ids()
		if r.err != nil {
			return
		}
		if c, ok := s.table.leave(k, p.origin, ids); ok {
			s.apply(&c, "")
		}
		s.releaseBarred(p, k)
	case opMeta:
		id := r.uint()
		meta := r.meta()
		if r.err != nil {
			return
		}
		if c, ok := s.table.setMeta(k, p.origin, id, meta); ok {
			s.apply(&c, "")
		}
	case opLane:
		gen := r.uint()
		if r.err != nil {
			return
		}
		if sh := s.table.find(k).share(p.origin); sh != nil {
			if closed := sh.setLane(gen); closed != nil {
				s.apply(&change{key: k, origin: p.origin, lane: closed}, "")
			}
		}
		s.barLane(p, k, gen)
	default:
		r.fail("unknown operation")
	}
}

// barLane notes that a peer takes the topic of a group whose members there are refused here. The lock is held.
func (s *Scope) barLane(p *peering, k key, gen uint64) {
	if gen == 0 || s.table.find(k).share(p.origin) != nil {
		delete(p.barred, k)
		return
	}
	if p.barred == nil {
		p.barred = map[key]uint64{}
	}
	if _, known := p.barred[k]; known || len(p.barred) < maxBarred {
		p.barred[k] = gen
	}
}

// maxBarred bounds what is noted of one peer. A topic beyond it stays subscribed until the session with this node ends.
const maxBarred = 1 << 16

// releaseBarred releases a topic that was never used. Whether members of the peer are left is not known here: it heeds the
// release when there is none. The lock is held.
func (s *Scope) releaseBarred(p *peering, k key) {
	if gen := p.barred[k]; gen != 0 {
		s.g.post(p.origin.id, appendRelease(nil, s.name, k, gen))
	}
}

// apply lets a change of a peer's members have its consequences. The lock is held.
func (s *Scope) apply(c *change, reason node.Reason) {
	if c.lane != nil {
		s.release(c)
	}
	s.notify(c, reason)
}

func (s *Scope) applyAll(list []change, reason node.Reason) {
	for i := range list {
		s.apply(&list[i], reason)
	}
}

// release tells a peer that nothing comes over a lane any more, once that is so.
func (s *Scope) release(c *change) {
	g, to := s.g, c.origin.id
	frame := appendRelease(nil, s.name, c.key, c.lane.gen)
	c.lane.close(func() { g.post(to, frame) })
}

// peerDown removes what is known of a peer whose session has ended (PG-34).
func (s *Scope) peerDown(id node.ID, reason node.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lose(id, reason, false)
	delete(s.answered, id)
	s.tellWaiters() // nobody waits for its answer any more
}

// lose removes a peer, or one that has stopped the scope (PG-28). The lock is held.
func (s *Scope) lose(id node.ID, reason node.Reason, alive bool) {
	p := s.peers[id]
	if p == nil {
		return
	}
	delete(s.peers, id)
	for i := range s.told {
		if s.told[i] == id {
			s.told = append(append([]node.ID(nil), s.told[:i]...), s.told[i+1:]...)
			break
		}
	}
	list := s.table.drop(p.origin)
	if !alive {
		for i := range list {
			list[i].lane = nil // nobody is there to be told of its release
		}
		p.barred = nil
	}
	for k := range p.barred {
		s.releaseBarred(p, k)
	}
	s.applyAll(list, reason)
}

// onAsk takes the topic of a group that a peer broadcasts to, and tells all peers. The subscription goes out before
// the news of it, on the same connection, so whoever knows of it can rely on it.
func (s *Scope) onAsk(from node.ID, r *reader) {
	k := r.key()
	if p := s.peers[from]; r.err != nil || p == nil || !p.told || s.table.find(k).share(s.table.self) == nil {
		return
	}
	if gen := s.taps.request(s.g, s.name, k); gen != 0 {
		s.tell(func(b []byte) []byte { return appendLane(b, k, gen) })
	}
}

// onMissed tells the monitors how many broadcasts of a peer did not come here.
func (s *Scope) onMissed(from node.ID, r *reader) {
	for r.more() {
		k := r.key()
		n := r.uint()
		if r.err != nil {
			return
		}
		s.g.stats.missed.Add(n)
		if s.monitors.interested(k.name) {
			s.monitors.tell(Event{Kind: Missed, Group: k.name, Node: from, Count: n})
		}
	}
}
