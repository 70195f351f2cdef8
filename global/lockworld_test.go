package global

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// simLock is one handle in a world.
type simLock struct {
	s     *simNode
	life  uint64
	h     *hold
	got   bool
	err   error
	lost  bool
	given bool
}

// has says whether whoever asked believes to hold the lock.
func (l *simLock) has() bool { return l.got && !l.lost && !l.given && l.life == l.s.id.Incarnation }

// lock asks for a lock of all nodes.
func (s *simNode) lock(resource, requester string, retries int) *simLock {
	l := &simLock{s: s, life: s.id.Incarnation}
	l.h = &hold{
		resource: resource, requester: requester, retries: retries,
		done: func(_ Version, err error) { l.got, l.err = err == nil, err },
		lost: func() { l.lost = true },
	}
	s.do(func() { s.c.lock(l.h) })
	return l
}

func (l *simLock) unlock() {
	l.given = true
	l.s.do(func() { l.s.c.unlock(l.h) })
}

// holders are those who believe to hold a lock.
func holders(list ...*simLock) (n int) {
	for _, l := range list {
		if l.has() {
			n++
		}
	}
	return n
}

// checkLocks demands that nobody waits for, or holds, what is not held.
func (w *world) checkLocks() {
	for _, s := range w.nodes {
		for resource, state := range s.c.locks.table {
			for _, o := range state.holders {
				if !w.holds(o) {
					w.fail("%s: %s is held by %v, who does not know", s.name, resource, o)
				}
			}
			for _, o := range state.waiting {
				if !w.holds(o.holder) {
					w.fail("%s: %s is awaited by %v, who does not know", s.name, resource, o)
				}
			}
		}
	}
}

func (w *world) holds(o holder) bool {
	for _, s := range w.nodes {
		if s.id == o.node {
			return s.c.locks.held[o.id] != nil
		}
	}
	return false
}

// TestStalledLocks (GLOB-64): two nodes that did not hear of each other for a while, though their session goes on, may both
// take a lock; when they do again, one of the two loses it.
func TestStalledLocks(t *testing.T) {
	w := newWorld(t.Fatalf, 2)
	a, b := w.nodes[0].lock("r", "a", waitInLine), w.nodes[1].lock("r", "b", waitInLine)
	w.pass(simTick)
	if holders(a, b) != 2 {
		t.Fatalf("%d have it without each other", holders(a, b))
	}
	w.settle()
	if !a.has() || b.has() || !b.lost {
		t.Fatalf("a %+v, b %+v", a, b)
	}
	a.unlock()
	w.settle()
	w.checkLocks()
	for _, s := range w.nodes {
		if len(s.c.locks.table) != 0 {
			t.Errorf("%s: left over: %+v", s.name, s.c.locks.table)
		}
	}
}

// TestLocksThatMeet (GLOB-64): a lock that is being taken while partitions meet does not become a second one.
func TestLocksThatMeet(t *testing.T) {
	apart := func(t *testing.T, alone int) (w *world, one, x, y *simNode) {
		w = newWorld(t.Fatalf, 3)
		rest := slices.Delete(slices.Clone(w.nodes), alone, alone+1)
		one, x, y = w.nodes[alone], rest[0], rest[1]
		w.cut(one, x)
		w.cut(one, y)
		w.settle()
		return w, one, x, y
	}
	for alone := range 3 {
		w, one, x, y := apart(t, alone)
		first := one.lock("r", "first", waitInLine)
		second := x.lock("r", "second", waitInLine) // waits for y
		w.connect(one, x)
		for x.step(one) || one.step(x) {
		}
		if !first.has() || second.h.state != holdRest {
			t.Fatalf("alone %d: first %+v, second %+v", alone, first, second)
		}
		for y.step(x) || x.step(y) {
		}
		w.settle()
		if holders(first, second) != 1 {
			t.Errorf("alone %d: %d hold it", alone, holders(first, second))
		}
		if alone == 0 && !first.has() {
			t.Error("the lower one lost it")
		}
	}
	t.Run("both_are_taking_it", func(t *testing.T) {
		w, one, x, _ := apart(t, 0)
		second := x.lock("r", "second", waitInLine)
		w.connect(one, x)
		first := one.lock("r", "first", waitInLine)
		w.settle()
		for range 40 {
			w.pass(simTick / 4)
			w.settle()
		}
		if holders(first, second) != 1 {
			t.Errorf("%d hold it", holders(first, second))
		}
	})
	t.Run("before_the_hello", func(t *testing.T) { // the higher one has it; the lower one takes it before it knows the peer
		w, one, x, y := apart(t, 2)
		first := one.lock("r", "first", waitInLine)
		second := x.lock("r", "second", waitInLine)
		w.connect(one, x)
		one.step(x)
		x.step(one) // the session is there, the hello is not
		for y.step(x) || x.step(y) {
		}
		w.settle()
		if !second.has() || !first.lost {
			t.Errorf("first %+v, second %+v", first, second)
		}
	})
	t.Run("one_here_waits_in_line", func(t *testing.T) { // and does not get what is lost
		w := newWorld(t.Fatalf, 2)
		a, b := w.nodes[0], w.nodes[1]
		w.cut(a, b)
		w.settle()
		before := b.lock("r", "b1", waitInLine)
		mine := b.lock("r", "b2", waitInLine)
		last := b.lock("r", "b1", 0)
		before.unlock()
		if !last.has() || mine.has() {
			t.Fatal("not as it should begin")
		}
		theirs := a.lock("r", "a", waitInLine)
		w.connect(a, b)
		w.settle()
		if !theirs.has() || !last.lost || mine.got {
			t.Errorf("theirs %+v, last %+v, mine %+v", theirs, last, mine)
		}
	})
}

// TestWorldLocks drives locks at random, with links that break, nodes that freeze, and time that passes, and demands that
// nobody shares a lock in the end but handles of one requester.
func TestWorldLocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t.Fatalf, rapid.IntRange(2, 4).Draw(t, "nodes"))
		var all []*simLock
		pick := func(what string) *simNode { return w.nodes[rapid.IntRange(0, len(w.nodes)-1).Draw(t, what)] }
		t.Repeat(map[string]func(*rapid.T){
			"lock": func(t *rapid.T) {
				s, requester := pick("node"), rapid.SampledFrom([]string{"u", "v", "w"}).Draw(t, "requester")
				if !s.frozen {
					all = append(all, s.lock("r", requester, rapid.IntRange(waitInLine, 3).Draw(t, "retries")))
				}
			},
			"unlock": func(t *rapid.T) {
				if len(all) > 0 {
					if l := rapid.SampledFrom(all).Draw(t, "handle"); !l.s.frozen {
						l.unlock()
					}
				}
			},
			"step": func(t *rapid.T) {
				for range rapid.IntRange(1, 12).Draw(t, "steps") {
					pick("to").step(pick("from"))
				}
			},
			"settle": func(*rapid.T) { w.settle() },
			"cut": func(t *rapid.T) {
				if a, b := pick("a"), pick("b"); a != b {
					w.cut(a, b)
				}
			},
			"connect": func(t *rapid.T) {
				if a, b := pick("a"), pick("b"); a != b {
					w.connect(a, b)
				}
			},
			"pass":   func(t *rapid.T) { w.pass(simTick * time.Duration(rapid.IntRange(1, 8).Draw(t, "quarters")) / 4) },
			"freeze": func(t *rapid.T) { pick("node").frozen = true },
			"thaw":   func(t *rapid.T) { pick("node").frozen = false },
		})
		w.heal()
		who := map[string]bool{}
		for _, l := range all {
			if l.has() {
				who[l.h.requester] = true
			}
		}
		if len(who) > 1 {
			t.Fatalf("all of %v hold the lock", who)
		}
		w.checkLocks()
	})
}
