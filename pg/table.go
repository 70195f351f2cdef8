package pg

import (
	"sync/atomic"

	"github.com/kith-mesh/kith/node"
)

// table is the membership of one scope as this node sees it: for each group, and for each node, a multiset of
// processes. Every node is the only one that writes its own part; what it says of others is never believed (PG-22).
//
// It is a pure state machine: calls change it and return what has changed, exactly. It knows no network, no time and
// no goroutines; the scope that owns it holds a lock.
type table struct {
	self   *origin
	groups map[string]*group // plain groups; never an empty one (PG-14, PG-23)
	globs  map[string]*group // patterns
	trie   trie              // of globs
	// residents are the local processes that are in at least one group, with those groups, so that one which dies is
	// out of all of them at once (PG-10).
	residents map[uint64]*groupSet
}

// origin is one node in a table.
type origin struct {
	id     node.ID
	groups groupSet // those with members of this node
	sync   *syncing // while a full sync of this node is under way
}

// group is the members of one group.
type group struct {
	name    string
	pattern bool
	turn    atomic.Uint32 // for round robin
	shares  []share       // one for each node with members
}

// share is one node's part of a group.
type share struct {
	origin *origin
	set    multiset
	more   *extra // nil until it is needed: most shares never have any
}

// extra is what few shares have.
type extra struct {
	meta  map[uint64]Meta
	lane  *lane // set when the node has told that it takes the group's topic
	asked int64 // when it was asked to, in Unix nanoseconds; zero: never
}

// change is one difference, in one group, of the processes of one node: what a monitor is told.
type change struct {
	kind   EventKind
	key    key
	origin *origin
	ids    []uint64 // with multiplicity
	meta   map[uint64]Meta
	// lane is set when the last member of a node has gone which took the group's topic.
	lane *lane
}

func newTable(self node.ID) *table {
	return &table{
		self:      &origin{id: self},
		groups:    make(map[string]*group),
		globs:     make(map[string]*group),
		residents: make(map[uint64]*groupSet),
	}
}

func (g *group) key() key { return key{g.name, g.pattern} }

// share returns the part of a node, or nil.
func (g *group) share(o *origin) *share {
	if g == nil {
		return nil
	}
	for i := range g.shares {
		if g.shares[i].origin == o {
			return &g.shares[i]
		}
	}
	return nil
}

// total is the number of memberships.
func (g *group) total() (n int) {
	if g == nil {
		return 0
	}
	for i := range g.shares {
		n += g.shares[i].set.total()
	}
	return n
}

// space is the map that a key belongs to.
func (t *table) space(pattern bool) map[string]*group {
	if pattern {
		return t.globs
	}
	return t.groups
}

func (t *table) find(k key) *group { return t.space(k.pattern)[k.name] }

// enter returns the part of a node in a group and makes both if need be. The caller puts a member in.
func (t *table) enter(k key, o *origin) (*group, *share) {
	g := t.find(k)
	if g == nil {
		g = &group{name: k.name, pattern: k.pattern}
		t.space(k.pattern)[k.name] = g
		if k.pattern {
			t.trie.add(g)
		}
	}
	if s := g.share(o); s != nil {
		return g, s
	}
	if n := len(g.shares); n == cap(g.shares) && n < 4 {
		g.shares = append(make([]share, 0, n+1), g.shares...) // most groups are small, and there are many
	}
	g.shares = append(g.shares, share{origin: o})
	o.groups.add(g)
	return g, &g.shares[len(g.shares)-1]
}

// vacate removes the part of a node, and the group with its last part. It returns the lane that has to be closed.
func (t *table) vacate(g *group, o *origin) (closed *lane) {
	for i := range g.shares {
		if g.shares[i].origin != o {
			continue
		}
		if x := g.shares[i].more; x != nil {
			closed = x.lane
		}
		last := len(g.shares) - 1
		copy(g.shares[i:], g.shares[i+1:])
		g.shares[last] = share{}
		g.shares = g.shares[:last]
		break
	}
	o.groups.remove(g)
	if len(g.shares) == 0 {
		delete(t.space(g.pattern), g.name)
		if g.pattern {
			t.trie.remove(g)
		}
	}
	return closed
}

// join puts processes of one node into a group, each as often as it is listed (PG-03). meta, if not nil, becomes the
// metadata of each.
func (t *table) join(k key, o *origin, ids []uint64, meta Meta) change {
	g, s := t.enter(k, o)
	for _, id := range ids {
		s.set.add(id, 1)
		if o == t.self {
			t.settle(id, g)
		}
	}
	c := change{kind: Joined, key: g.key(), origin: o, ids: ids}
	if meta != nil {
		c.meta = make(map[uint64]Meta, len(ids))
		for _, id := range ids {
			s.setMeta(id, meta)
			c.meta[id] = meta
		}
	}
	return c
}

// settle notes that a local process is in a group.
func (t *table) settle(id uint64, g *group) {
	r := t.residents[id]
	if r == nil {
		r = &groupSet{}
		t.residents[id] = r
	}
	r.add(g)
}

// unsettle notes that a local process is in a group no more.
func (t *table) unsettle(id uint64, g *group) {
	if r := t.residents[id]; r != nil && r.remove(g) && r.empty() {
		delete(t.residents, id)
	}
}

// leave takes processes out of a group, each as often as it is listed, and reports those that were in it (PG-04,
// PG-51). ok is false when none was (PG-05, PG-06).
func (t *table) leave(k key, o *origin, ids []uint64) (c change, ok bool) {
	g := t.find(k)
	s := g.share(o)
	if s == nil {
		return change{}, false
	}
	gone := make([]uint64, 0, len(ids))
	for _, id := range ids {
		if s.set.remove(id, 1) == 0 {
			continue
		}
		gone = append(gone, id)
		if s.set.count(id) == 0 {
			t.removed(g, s, id)
		}
	}
	return t.left(g, s, gone), len(gone) > 0
}

// removed clears what was kept of a process that is in a group no more.
func (t *table) removed(g *group, s *share, id uint64) {
	if s.more != nil {
		delete(s.more.meta, id)
	}
	if s.origin == t.self {
		t.unsettle(id, g)
	}
}

// left reports processes that were taken out of a share, and removes the share if it is empty now.
func (t *table) left(g *group, s *share, gone []uint64) change {
	c := change{kind: Left, key: g.key(), origin: s.origin, ids: gone}
	if s.set.total() == 0 {
		c.lane = t.vacate(g, s.origin)
	}
	return c
}

// exit takes a local process out of all its groups: one change for each, with its multiplicity (PG-10, PG-52).
func (t *table) exit(id uint64) []change {
	r := t.residents[id]
	if r == nil {
		return nil
	}
	var list []change
	for _, g := range r.all() {
		s := g.share(t.self)
		n := s.set.remove(id, s.set.count(id))
		gone := make([]uint64, n)
		for i := range gone {
			gone[i] = id
		}
		t.removed(g, s, id)
		list = append(list, t.left(g, s, gone))
	}
	return list
}

// drop takes everything of a node out: one change for each group (PG-34, PG-35).
func (t *table) drop(o *origin) []change {
	var list []change
	o.sync = nil
	for _, g := range o.groups.all() {
		list = append(list, t.dropShare(g, o))
	}
	return list
}

func (t *table) dropShare(g *group, o *origin) change {
	s := g.share(o)
	gone := s.set.appendIDs(make([]uint64, 0, s.set.total()))
	if o == t.self {
		for _, id := range gone {
			t.unsettle(id, g)
		}
	}
	c := change{kind: Left, key: g.key(), origin: o, ids: gone}
	c.lane = t.vacate(g, o)
	return c
}

// setMeta replaces the metadata of a member. ok is false when it is none.
func (t *table) setMeta(k key, o *origin, id uint64, meta Meta) (c change, ok bool) {
	s := t.find(k).share(o)
	if s == nil || s.set.count(id) == 0 {
		return change{}, false
	}
	s.setMeta(id, meta)
	return change{kind: Updated, key: k, origin: o, ids: []uint64{id}, meta: map[uint64]Meta{id: meta}}, true
}

func (s *share) extra() *extra {
	if s.more == nil {
		s.more = &extra{}
	}
	return s.more
}

func (s *share) setMeta(id uint64, meta Meta) {
	if len(meta) == 0 {
		if s.more != nil {
			delete(s.more.meta, id)
		}
		return
	}
	x := s.extra()
	if x.meta == nil {
		x.meta = make(map[uint64]Meta)
	}
	x.meta[id] = meta
}

// metaOf is the metadata of a member, or nil.
func (s *share) metaOf(id uint64) Meta {
	if s.more == nil {
		return nil
	}
	return s.more.meta[id]
}
