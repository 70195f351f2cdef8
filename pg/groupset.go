package pg

// groupSet is a set of groups. One group costs no allocation. The zero value is empty.
type groupSet struct {
	only *group
	many map[*group]struct{}
}

func (s *groupSet) add(g *group) {
	switch {
	case s.many != nil:
		s.many[g] = struct{}{}
	case s.only == nil || s.only == g:
		s.only = g
	default:
		s.many = map[*group]struct{}{s.only: {}, g: {}}
		s.only = nil
	}
}

// remove takes a group out and reports whether it was in.
func (s *groupSet) remove(g *group) bool {
	if s.many != nil {
		_, ok := s.many[g]
		delete(s.many, g)
		return ok
	}
	if s.only != g {
		return false
	}
	s.only = nil
	return true
}

func (s *groupSet) has(g *group) bool {
	if s.many != nil {
		_, ok := s.many[g]
		return ok
	}
	return s.only == g && g != nil
}

func (s *groupSet) empty() bool { return s.only == nil && len(s.many) == 0 }

// all returns the groups, as a list of its own.
func (s *groupSet) all() []*group {
	if s.only != nil {
		return []*group{s.only}
	}
	list := make([]*group, 0, len(s.many))
	for g := range s.many {
		list = append(list, g)
	}
	return list
}
