package pg

import (
	"github.com/kith-mesh/kith/internal/feed"
	"github.com/kith-mesh/kith/process"
)

// Member is one process of a group.
type Member struct {
	PID process.PID
	// Count is how often it joined.
	Count int
	// Meta is its metadata, nil if it has none. It must not be changed.
	Meta Meta
}

// Members lists the members of a group that this node sees, each as often as it joined, in no promised order (PG-49).
// It is empty for a group without members, and when the scope has been stopped (PG-26). The list is the caller's.
func (s *Scope) Members(group string) []process.PID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.members(s.table.groups[group])
}

func (s *Scope) members(g *group) []process.PID {
	if g == nil {
		return nil
	}
	list := make([]process.PID, 0, g.total())
	for i := range g.shares {
		list = g.shares[i].appendPIDs(list)
	}
	return list
}

func (s *share) appendPIDs(list []process.PID) []process.PID {
	o := s.origin.id
	s.set.each(func(id uint64, count uint32) {
		for range count {
			list = append(list, pid(o, id))
		}
	})
	return list
}

// LocalMembers lists the members of a group that run on this node, each as often as it joined (PG-15).
func (s *Scope) LocalMembers(group string) []process.PID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	sh := s.table.groups[group].share(s.table.self)
	if sh == nil {
		return nil
	}
	return sh.appendPIDs(make([]process.PID, 0, sh.set.total()))
}

// Details lists the members of a group with their metadata, each process once.
func (s *Scope) Details(group string) []Member {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.table.groups[group]
	if g == nil {
		return nil
	}
	var list []Member
	for i := range g.shares {
		sh := &g.shares[i]
		sh.set.each(func(id uint64, count uint32) {
			list = append(list, Member{PID: pid(sh.origin.id, id), Count: int(count), Meta: sh.metaOf(id)})
		})
	}
	return list
}

// Meta is the metadata of one member; ok is false when it is none.
func (s *Scope) Meta(group string, member process.PID) (meta Meta, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.table.groups[group]
	if g == nil {
		return nil, false
	}
	for i := range g.shares {
		sh := &g.shares[i]
		if sh.origin.id == member.NodeID() && sh.set.count(member.ID) > 0 {
			return sh.metaOf(member.ID), true
		}
	}
	return nil, false
}

// Groups lists the groups that have members, in no particular order (PG-14).
func (s *Scope) Groups() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, 0, len(s.table.groups))
	for name := range s.table.groups {
		names = append(names, name)
	}
	return names
}

// Size is how many memberships a group has, how many of them on this node, and on how many nodes.
type Size struct {
	Members, Local, Nodes int
}

// Count returns the size of a group without listing it.
func (s *Scope) Count(group string) Size {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g := s.table.groups[group]
	if g == nil {
		return Size{}
	}
	size := Size{Members: g.total(), Nodes: len(g.shares)}
	if sh := g.share(s.table.self); sh != nil {
		size.Local = sh.set.total()
	}
	return size
}

// GroupCount is the number of groups that have members.
func (s *Scope) GroupCount() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.table.groups)
}

// Subscribers lists who gets a broadcast to a group, each as often as it gets it: the members, and those who
// subscribed to a pattern that matches.
func (s *Scope) Subscribers(group string) []process.PID {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.subscribers(group)
}

func (s *Scope) subscribers(name string) []process.PID {
	list := s.members(s.table.groups[name])
	s.table.trie.match(name, func(g *group) { list = append(list, s.members(g)...) })
	return list
}

// Monitor watches one group, which need not have members yet. The members as they are now, and all changes after that:
// nothing is missing and nothing comes twice (PG-42). When the scope has been stopped, the monitor ends at once.
func (s *Scope) Monitor(group string, opts ...MonitorOption) (*Monitor, []process.PID) {
	m, all := s.monitor(filter{oneGroup, group}, opts)
	return m, all[group]
}

// MonitorPrefix watches all groups whose names begin with a prefix.
func (s *Scope) MonitorPrefix(prefix string, opts ...MonitorOption) (*Monitor, map[string][]process.PID) {
	return s.monitor(filter{withPrefix, prefix}, opts)
}

// MonitorAll watches all groups of the scope.
func (s *Scope) MonitorAll(opts ...MonitorOption) (*Monitor, map[string][]process.PID) {
	return s.monitor(filter{allGroups, ""}, opts)
}

func (s *Scope) monitor(what filter, opts []MonitorOption) (*Monitor, map[string][]process.PID) {
	m := &Monitor{s: s, what: what, limit: DefaultQueue}
	for _, opt := range opts {
		opt(m)
	}
	m.events = feed.New(m.limit, Event{Kind: Overflow, Group: what.name})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		m.events.Close()
		m.events.Run()
		return m, nil
	}
	s.monitors.add(m)
	go m.events.Run()
	if !m.owner.IsZero() {
		// The end of the owner is dealt with where those of members are: this may be called at once, and locked.
		m.disown = s.g.rt.Watch(m.owner, func(error) { s.g.deaths.orphan(m) })
	}
	return m, s.snapshot(what)
}

// forget takes a monitor out.
func (s *Scope) forget(m *Monitor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.monitors.remove(m)
}

// snapshot lists the members of all groups that a filter matches. The lock is held, for reading at least.
func (s *Scope) snapshot(what filter) map[string][]process.PID {
	all := make(map[string][]process.PID)
	if what.kind == oneGroup {
		if g := s.table.groups[what.name]; g != nil {
			all[what.name] = s.members(g)
		}
		return all
	}
	for name, g := range s.table.groups {
		if what.match(name) {
			all[name] = s.members(g)
		}
	}
	return all
}
