package pg_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

func TestMonitor(t *testing.T) {
	c := newCluster(t, 2)

	t.Run("PG-42_snapshot_and_changes_fit", func(t *testing.T) {
		s := c.scope(t.Name())
		done := make(chan struct{})
		a, b := c.idle(0), c.idle(0)
		go func() {
			defer close(done)
			for i := range 2000 {
				_ = s[0].Join(fmt.Sprint("g", i%3), a, b)
				_ = s[0].Leave(fmt.Sprint("g", i%3), b)
				if i%5 == 0 {
					_ = s[0].Leave(fmt.Sprint("g", i%3), a)
				}
			}
		}()
		// Monitors that begin in the middle must end with the truth.
		var followers []*tally
		for range 30 {
			for _, at := range s {
				m, all := at.MonitorAll()
				followers = append(followers, tallyOf(m, all))
				one, list := at.Monitor("g1")
				f := tallyOf(one, map[string][]process.PID{"g1": list})
				f.only = "g1"
				followers = append(followers, f)
			}
		}
		<-done
		meshtest.Eventually(t, "agreement", func() bool {
			for g := range 3 {
				if !same(s[0].Members(fmt.Sprint("g", g)), s[1].Members(fmt.Sprint("g", g))) {
					return false
				}
			}
			return true
		})
		for i, f := range followers {
			meshtest.Eventually(t, fmt.Sprint("monitor ", i), func() bool { return f.drain().equals(s[0]) })
			f.m.Close()
		}
	})

	t.Run("PG-42_empty_group", func(t *testing.T) {
		s := c.scope(t.Name())
		m, list := s[0].Monitor("nobody")
		defer m.Close()
		if len(list) > 0 {
			t.Fatalf("members %v", list)
		}
		a := c.idle(1)
		must(t, s[1].Join("nobody", a))
		if ev := next(t, m); ev.Kind != pg.Joined || !same(ev.PIDs, []process.PID{a}) {
			t.Fatalf("event %+v", ev)
		}
	})

	t.Run("PG-45_PG-54_each_its_own", func(t *testing.T) {
		s := c.scope(t.Name())
		a := c.idle(0)
		var list []*pg.Monitor
		for range 2 {
			m, _ := s[0].Monitor("g")
			list = append(list, m)
		}
		all, _ := s[0].MonitorAll()
		pre, _ := s[0].MonitorPrefix("g")
		other, _ := s[0].MonitorPrefix("h")
		list = append(list, all, pre)
		must(t, s[0].Join("g", a))
		for _, m := range list {
			if ev := next(t, m); ev.Group != "g" {
				t.Fatalf("event %+v", ev)
			}
			m.Close()
			m.Close()
		}
		must(t, s[0].Join("hall", a))
		if ev := next(t, other); ev.Group != "hall" {
			t.Fatalf("event %+v", ev)
		}
		other.Close()
		for range other.Events() {
			t.Fatal("an event after Close")
		}
		if _, err := other.Resync(); !errors.Is(err, pg.ErrClosed) {
			t.Fatalf("resync of a closed monitor: %v", err)
		}
	})

	t.Run("overflow_and_resync", func(t *testing.T) {
		s := c.scope(t.Name())
		m, all := s[0].MonitorAll(pg.Queue(10))
		defer m.Close()
		f := tallyOf(m, all)
		a := c.idle(0)
		for i := range 100 {
			must(t, s[0].Join(fmt.Sprint("g", i), a))
		}
		seen := 0
		for ev := range m.Events() {
			if ev.Kind == pg.Overflow {
				break
			}
			f.apply(ev)
			seen++
		}
		if seen < 10 || seen > 11 { // one may be in the monitor's hand
			t.Fatalf("%d events before the overflow", seen)
		}
		if d := m.Dropped(); d != uint64(100-seen) {
			t.Fatalf("%d dropped, %d of 100 seen", d, seen)
		}
		must(t, s[0].Join("after", a))
		if d := m.Dropped(); d != uint64(101-seen) {
			t.Fatal("an event follows the overflow before the resync")
		}
		now, err := m.Resync()
		must(t, err)
		f = tallyOf(m, now)
		if !f.equals(s[0]) {
			t.Fatal("resync does not tell the truth")
		}
		must(t, s[0].Leave("g5", a))
		must(t, s[0].Join("new", a))
		meshtest.Eventually(t, "changes after the resync", func() bool { return f.drain().equals(s[0]) })
	})

	t.Run("resync_at_any_time", func(t *testing.T) {
		s := c.scope(t.Name())
		m, _ := s[0].MonitorAll(pg.Queue(0))
		defer m.Close()
		a := c.idle(0)
		for i := range 300 {
			must(t, s[0].Join("g", a))
			if i%7 == 0 {
				now, err := m.Resync()
				must(t, err)
				f := tallyOf(m, now)
				must(t, s[0].Join("h", a))
				for !f.equals(s[0]) { // nothing from before the resync may come
					f.apply(next(t, m))
				}
			}
		}
	})
}

// tally follows a monitor.
type tally struct {
	m    *pg.Monitor
	n    map[string]map[process.PID]int
	only string
}

func tallyOf(m *pg.Monitor, all map[string][]process.PID) *tally {
	f := &tally{m: m, n: map[string]map[process.PID]int{}}
	for g, list := range all {
		f.apply(pg.Event{Kind: pg.Joined, Group: g, PIDs: list})
	}
	return f
}

func (f *tally) apply(ev pg.Event) {
	if f.n[ev.Group] == nil {
		f.n[ev.Group] = map[process.PID]int{}
	}
	for _, p := range ev.PIDs {
		switch ev.Kind {
		case pg.Joined:
			f.n[ev.Group][p]++
		case pg.Left:
			if f.n[ev.Group][p]--; f.n[ev.Group][p] == 0 {
				delete(f.n[ev.Group], p)
			}
		}
	}
}

func (f *tally) drain() *tally {
	for {
		select {
		case ev := <-f.m.Events():
			f.apply(ev)
		case <-time.After(5 * time.Millisecond): // nothing is ready: whoever calls tries again
			return f
		}
	}
}

func (f *tally) equals(s *pg.Scope) bool {
	groups := s.Groups()
	if f.only != "" {
		groups = []string{f.only}
	}
	total := 0
	for _, g := range groups {
		list := s.Members(g)
		var mine []process.PID
		for p, n := range f.n[g] {
			for range n {
				mine = append(mine, p)
			}
		}
		if !same(list, mine) {
			return false
		}
		total += len(f.n[g])
	}
	for _, members := range f.n {
		total -= len(members)
	}
	return total == 0
}
