package global

import (
	"slices"

	"github.com/kith-mesh/kith/node"
)

// lockTable is the locks as one node sees them, whoever holds them.
type lockTable map[string]*lockState

// lockState is a resource that somebody has locked at this node.
type lockState struct {
	requester string
	token     Version
	holders   []holder
	waiting   []waiter
}

// holder is one handle of a lock: the node that holds it, and the number that it has there.
type holder struct {
	node node.ID
	id   uint64
}

// waiter is a holder to come.
type waiter struct {
	holder
	requester string
	token     Version
	has       bool // it holds the lock elsewhere already, and is only not in the table here
}

// grant is a waiter whose turn has come.
type grant struct {
	holder
	resource string
}

// take tries to take a lock. It is granted to whoever has the requester's name as well (GLOB-56). If it is not free and
// the waiter waits, it is granted later, by drop.
func (t lockTable) take(resource string, w waiter, wait bool) (granted bool) {
	s := t[resource]
	if s == nil {
		t[resource] = &lockState{requester: w.requester, token: w.token, holders: []holder{w.holder}}
		return true
	}
	if s.requester == w.requester && (len(s.waiting) == 0 || !wait || w.has) {
		s.add(w)
		return true
	}
	if wait || w.has && !s.awaits(w) {
		s.waiting = append(s.waiting, w)
	}
	return false
}

// awaits says whether a waiter is known: a holder may be told of more than once.
func (s *lockState) awaits(w waiter) bool {
	return slices.ContainsFunc(s.waiting, func(o waiter) bool { return o.holder == w.holder })
}

func (s *lockState) add(w waiter) {
	if !slices.Contains(s.holders, w.holder) {
		s.holders = append(s.holders, w.holder)
	}
	if w.token.Compare(s.token) > 0 {
		s.token = w.token
	}
}

// drop takes a holder or waiter out, and returns whose turn it is now.
func (t lockTable) drop(resource string, h holder) []grant {
	s := t[resource]
	if s == nil {
		return nil
	}
	s.holders = slices.DeleteFunc(s.holders, func(o holder) bool { return o == h })
	s.waiting = slices.DeleteFunc(s.waiting, func(o waiter) bool { return o.holder == h })
	return t.advance(resource, s)
}

// advance hands a lock on that nobody holds any more: to the first that waits, and to those with the same requester.
func (t lockTable) advance(resource string, s *lockState) (list []grant) {
	if len(s.holders) > 0 {
		return nil
	}
	if len(s.waiting) == 0 {
		delete(t, resource)
		return nil
	}
	// Whoever holds the lock elsewhere already comes first.
	first := max(slices.IndexFunc(s.waiting, func(w waiter) bool { return w.has }), 0)
	s.requester, s.token = s.waiting[first].requester, Version{}
	s.waiting = slices.DeleteFunc(s.waiting, func(w waiter) bool {
		if w.requester != s.requester {
			return false
		}
		s.add(w)
		if !w.has {
			list = append(list, grant{w.holder, resource})
		}
		return true
	})
	return list
}

// lost takes out all of a node.
func (t lockTable) lost(id node.ID) (list []grant) {
	for resource, s := range t {
		gone := func(h holder) bool { return h.node == id }
		s.holders = slices.DeleteFunc(s.holders, gone)
		s.waiting = slices.DeleteFunc(s.waiting, func(w waiter) bool { return gone(w.holder) })
		list = append(list, t.advance(resource, s)...)
	}
	return list
}
