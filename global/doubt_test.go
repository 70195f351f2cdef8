package global

import (
	"testing"

	"github.com/kith-mesh/kith/process"
)

// TestGLOB72 (GLOB-72): a node that was frozen for longer than the others wait believes in none of its names until they have
// confirmed them, and gives up those that others have meanwhile without a resolver.
func TestGLOB72(t *testing.T) {
	w := newWorld(t.Fatalf, 3)
	a, b, c := w.nodes[0], w.nodes[1], w.nodes[2]
	register := func(s *simNode, name string) (pid process.PID) {
		pid = s.spawn()
		s.do(func() {
			var v Version
			s.c.several = true
			s.c.register(Entry{Name: name, PID: pid, Resolver: ResolveDefault}, false, &v, s.asking("register", func(err error) {
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}))
		})
		w.settle()
		return pid
	}
	register(a, "taken")
	kept := register(a, "kept")

	a.frozen = true
	w.pass(frozenTicks * simTick)
	w.cut(a, b)
	w.cut(a, c)
	w.settle()
	taken := register(b, "taken")
	w.pass(simTick)

	a.frozen = false
	a.do(a.c.ticked)
	if !a.doubting {
		t.Fatal("it believes in its names, though the others may have given it up")
	}
	for _, o := range []*simNode{b, c} {
		w.connect(a, o)
	}
	w.settle()
	for range 8 {
		w.pass(simTick / 4)
		w.settle()
	}
	for _, s := range w.nodes {
		if s.doubting || s.c.shown("taken").PID != taken || s.c.shown("kept").PID != kept {
			t.Errorf("%s: doubting %v, %v, %v", s.name, s.doubting, s.c.shown("taken"), s.c.shown("kept"))
		}
	}
	if w.clashes != 0 {
		t.Error("a resolver was asked")
	}
	w.check()
}

// TestDoubtEnds: peers that do not come back are not waited for.
func TestDoubtEnds(t *testing.T) {
	w := newWorld(t.Fatalf, 2)
	a, b := w.nodes[0], w.nodes[1]
	a.frozen, b.frozen = true, true
	w.pass(frozenTicks * simTick)
	a.frozen = false
	a.do(a.c.ticked)
	if !a.doubting {
		t.Fatal("it does not doubt")
	}
	w.pass(simTick)
	if !a.doubting {
		t.Fatal("it doubts no more, though the peer may still confirm")
	}
	w.pass(simTick)
	if a.doubting {
		t.Fatal("it doubts for longer than it should")
	}
}

// TestClosedDoubtsNothing has a frame come to a closed registry, whose time nobody tells any more: it was not frozen.
func TestClosedDoubtsNothing(t *testing.T) {
	w := newWorld(t.Fatalf, 2)
	a, b := w.nodes[0], w.nodes[1]
	a.do(a.c.giveUpAll)
	w.now = w.now.Add(2 * frozenTicks * simTick)
	b.do(func() { b.c.ping(b.c.peers[a.id], func(error) {}) })
	a.step(b)
	if a.doubting {
		t.Error("it doubts")
	}
}
