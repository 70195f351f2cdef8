package pg

// part is what a node says of its whole share of one group: an element of a full sync.
type part struct {
	key  key
	ids  []uint64 // with multiplicity
	meta map[uint64]Meta
	lane uint64 // generation of the node's subscription to the group's topic; 0 is none
}

// syncing is a full sync on its way: what is known of the node and was not confirmed so far.
type syncing struct {
	stale groupSet
}

// beginSync starts to replace what is known of a node (PG-31). One that was under way is given up: the new one
// replaces it.
func (t *table) beginSync(o *origin) {
	o.sync = &syncing{}
	for _, g := range o.groups.all() {
		o.sync.stale.add(g)
	}
}

// endSync takes out what the sync did not confirm. ok is false when none was under way.
func (t *table) endSync(o *origin) (list []change, ok bool) {
	if o.sync == nil {
		return nil, false
	}
	for _, g := range o.sync.stale.all() {
		if t.find(g.key()) == g && g.share(o) != nil {
			list = append(list, t.dropShare(g, o))
		}
	}
	o.sync = nil
	return list, true
}

// set makes a node's share of one group equal to p and reports the differences: none if it was equal (PG-31).
func (t *table) set(o *origin, p part) []change {
	g := t.find(p.key)
	s := g.share(o)
	if o.sync != nil && g != nil {
		o.sync.stale.remove(g)
	}
	if s == nil {
		if len(p.ids) == 0 {
			return nil
		}
		c := t.join(p.key, o, p.ids, nil)
		_, s = t.enter(p.key, o)
		c.meta = s.adopt(p.meta)
		s.setLane(p.lane)
		return []change{c}
	}
	if len(p.ids) == 0 {
		return []change{t.dropShare(g, o)}
	}
	joined, left := s.set.difference(p.ids)
	var list []change
	if len(joined) > 0 {
		c := t.join(p.key, o, joined, nil)
		for _, id := range joined {
			if m := p.meta[id]; m != nil {
				if c.meta == nil {
					c.meta = make(map[uint64]Meta)
				}
				c.meta[id] = m
			}
		}
		list = append(list, c)
	}
	if len(left) > 0 {
		c, _ := t.leave(p.key, o, left)
		list = append(list, c)
	}
	s = g.share(o)
	if ids, meta := s.updateMeta(p.meta, joined); len(ids) > 0 {
		list = append(list, change{kind: Updated, key: g.key(), origin: o, ids: ids, meta: meta})
	}
	if closed := s.setLane(p.lane); closed != nil {
		list = append(list, change{key: g.key(), origin: o, lane: closed})
	}
	return list
}

// difference returns what has to be added to and taken from the set to make it equal to ids.
func (m *multiset) difference(ids []uint64) (add, del []uint64) {
	want := make(map[uint64]uint32, len(ids))
	for _, id := range ids {
		want[id]++
		if want[id] > m.count(id) {
			add = append(add, id)
		}
	}
	m.each(func(id uint64, count uint32) {
		for n := want[id]; n < count; n++ {
			del = append(del, id)
		}
	})
	return add, del
}

// adopt takes the metadata of members that are all new. It returns what it took.
func (s *share) adopt(meta map[uint64]Meta) (took map[uint64]Meta) {
	for id, m := range meta {
		if s.set.count(id) == 0 || len(m) == 0 {
			continue
		}
		s.setMeta(id, m)
		if took == nil {
			took = make(map[uint64]Meta, len(meta))
		}
		took[id] = m
	}
	return took
}

// updateMeta makes the metadata of all members equal to meta and returns those that are not new and had other
// metadata before.
func (s *share) updateMeta(meta map[uint64]Meta, joined []uint64) (ids []uint64, changed map[uint64]Meta) {
	if len(meta) == 0 && (s.more == nil || len(s.more.meta) == 0) {
		return nil, nil
	}
	isNew := make(map[uint64]int, len(joined))
	for _, id := range joined {
		isNew[id]++
	}
	s.set.each(func(id uint64, count uint32) {
		if s.metaOf(id).equal(meta[id]) {
			return
		}
		s.setMeta(id, meta[id])
		if isNew[id] == int(count) {
			return // its join says it
		}
		ids = append(ids, id)
		if changed == nil {
			changed = make(map[uint64]Meta)
		}
		changed[id] = meta[id]
	})
	return ids, changed
}

// setLane notes whether a node takes the topic of the group. It returns the lane that is open no more.
func (s *share) setLane(gen uint64) (closed *lane) {
	var now *lane
	if s.more != nil {
		now = s.more.lane
	}
	switch {
	case now == nil && gen == 0, now != nil && now.gen == gen:
		return nil
	case gen == 0:
		s.more.lane = nil
	default:
		s.extra().lane = newLane(gen)
	}
	return now
}

// parts lists what the table holds of a node, to send it as a full sync. f must not change the table.
func (t *table) parts(o *origin, f func(k key, s *share)) {
	for _, g := range o.groups.all() {
		f(g.key(), g.share(o))
	}
}
