package pg_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

func TestPick(t *testing.T) {
	c := newCluster(t, 2)
	s := c.scope("s")
	local, remote := []process.PID{c.idle(0), c.idle(0), c.idle(0)}, []process.PID{c.idle(1), c.idle(1)}
	must(t, s[0].Join("g", local...))
	must(t, s[1].Join("g", remote...))
	sees(t, s[0], "g", append(append([]process.PID{}, local...), remote...)...)
	sees(t, s[1], "g", append(append([]process.PID{}, local...), remote...)...)

	pick := func(t *testing.T, f func(string, pg.Strategy) (process.PID, error), by pg.Strategy, n int) map[process.PID]int {
		t.Helper()
		got := map[process.PID]int{}
		for range n {
			p, err := f("g", by)
			must(t, err)
			got[p]++
		}
		return got
	}
	t.Run("round_robin", func(t *testing.T) {
		for p, n := range pick(t, s[0].PickAny, pg.RoundRobin(), 500) {
			if n != 100 {
				t.Fatalf("%v was chosen %d times of 500 among 5", p, n)
			}
		}
		got := pick(t, s[0].PickLocal, pg.RoundRobin(), 300)
		for _, p := range local {
			if got[p] != 100 {
				t.Fatalf("%v was chosen %d times of 300 among 3", p, got[p])
			}
		}
	})
	t.Run("random", func(t *testing.T) {
		got := pick(t, s[0].PickAny, pg.Random(), 5000)
		for _, p := range append(append([]process.PID{}, local...), remote...) {
			if got[p] < 800 || got[p] > 1200 {
				t.Fatalf("%v was chosen %d times of 5000 among 5", p, got[p])
			}
		}
	})
	t.Run("by_key_agrees_and_moves_little", func(t *testing.T) {
		before := map[string]process.PID{}
		share := map[process.PID]int{}
		for i := range 1000 {
			key := fmt.Sprint("key", i)
			p, err := s[0].PickAny("g", pg.ByKey(key))
			must(t, err)
			q, err := s[1].PickAny("g", pg.ByKey(key))
			must(t, err)
			if p != q {
				t.Fatalf("the nodes disagree on %q: %v and %v", key, p, q)
			}
			before[key] = p
			share[p]++
		}
		for p, n := range share {
			if n < 120 || n > 290 {
				t.Errorf("%v has %d of 1000 keys among 5", p, n)
			}
		}
		must(t, s[1].Leave("g", remote[0]))
		meshtest.Eventually(t, "the leave", func() bool { return s[0].Count("g").Members == 4 })
		for key, was := range before {
			now, err := s[0].PickAny("g", pg.ByKey(key))
			must(t, err)
			if was != remote[0] && now != was {
				t.Fatalf("%q moved from %v, which is still there, to %v", key, was, now)
			}
		}
	})
	t.Run("nobody", func(t *testing.T) {
		if _, err := s[0].PickAny("none", pg.Random()); !errors.Is(err, pg.ErrNoMember) {
			t.Fatal(err)
		}
		must(t, s[1].Join("far", remote[1]))
		meshtest.Eventually(t, "the join", func() bool { return s[0].Count("far").Members == 1 })
		if _, err := s[0].PickLocal("far", pg.Random()); !errors.Is(err, pg.ErrNoMember) {
			t.Fatal(err)
		}
	})
}
