package global

// nameSet is the names of one process. Most have one, which costs no map.
type nameSet struct {
	one  string              // if there is just one; names are not empty
	many map[string]struct{} // otherwise
}

func (s *nameSet) len() int {
	if s.one != "" {
		return 1
	}
	return len(s.many)
}

func (s *nameSet) add(name string) {
	switch {
	case s.one == name:
	case s.one == "" && len(s.many) == 0:
		s.one = name
	default:
		if s.many == nil {
			s.many = map[string]struct{}{s.one: {}}
			s.one = ""
		}
		s.many[name] = struct{}{}
	}
}

func (s *nameSet) remove(name string) {
	if s.one == name {
		s.one = ""
		return
	}
	if delete(s.many, name); len(s.many) == 0 {
		s.many = nil
	}
}

// list is a copy, in no order.
func (s *nameSet) list() []string {
	if s.one != "" {
		return []string{s.one}
	}
	names := make([]string, 0, len(s.many))
	for name := range s.many {
		names = append(names, name)
	}
	return names
}
