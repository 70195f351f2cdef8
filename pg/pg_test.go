package pg_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// TestPG is the contract of groups, on three real nodes. Each case has a scope of its own.
func TestPG(t *testing.T) {
	c := newCluster(t, 3)
	for name, f := range map[string]func(*testing.T, *cluster, []*pg.Scope){
		"PG-01_PG-02_PG-14_join_is_seen_at_once": testJoin,
		"PG-03_PG-04_PG-05_multiplicity":         testMultiplicity,
		"PG-06_leave_of_some":                    testLeaveSome,
		"PG-08_only_local_processes":             testNotLocal,
		"PG-09_PG-10_death_leaves_everything":    testDeath,
		"PG-11_join_races_with_exit":             testJoinRace,
		"PG-15_PG-16_PG-17_PG-23_remote":         testRemote,
		"PG-20_one_call_is_one_event":            testOneCall,
		"PG-21_final_multisets_agree":            testAgree,
		"PG-24_scopes_are_apart":                 testScopes,
		"PG-25_PG-26_stopped_scope":              testStopped,
		"PG-28_stopped_scope_is_left":            testStopSeen,
		"PG-50_empty_join":                       testEmptyJoin,
		"PG-51_PG-52_exact_leaves":               testExactLeaves,
		"PG-47_PG-48_member_and_subscriber":      testMemberSubscriber,
		"PG-43_PG-44_same_order_for_observers":   testObservers,
		"bad_names":                              testBadNames,
		"metadata":                               testMeta,
		"counts":                                 testCounts,
		"large_join_is_one_event":                testLargeJoin,
		"large_metadata":                         testLargeMeta,
	} {
		t.Run(name, func(t *testing.T) { f(t, c, c.scope(name)) })
	}
}

func testJoin(t *testing.T, c *cluster, s []*pg.Scope) {
	a := c.idle(0)
	must(t, s[0].Join("g", a))
	if !same(s[0].Members("g"), []process.PID{a}) || !same(s[0].LocalMembers("g"), []process.PID{a}) {
		t.Fatal("the join is not seen at home")
	}
	if g := s[0].Groups(); len(g) != 1 || g[0] != "g" {
		t.Fatalf("groups %q", g)
	}
	must(t, s[0].Leave("g", a))
	if len(s[0].Members("g")) > 0 || len(s[0].Groups()) > 0 { // PG-02, PG-14
		t.Fatal("the group outlives its last member")
	}
}

func testMultiplicity(t *testing.T, c *cluster, s []*pg.Scope) {
	a := c.idle(0)
	must(t, s[0].Join("g", a, a))
	must(t, s[0].Join("g", a))
	if n := len(s[0].Members("g")); n != 3 {
		t.Fatalf("%d entries after three joins", n)
	}
	for left := 2; left >= 0; left-- {
		must(t, s[0].Leave("g", a))
		if n := len(s[0].LocalMembers("g")); n != left {
			t.Fatalf("%d entries, want %d", n, left)
		}
	}
	if err := s[0].Leave("g", a); !errors.Is(err, pg.ErrNotJoined) { // PG-05
		t.Fatalf("leave of a stranger: %v", err)
	}
}

func testLeaveSome(t *testing.T, c *cluster, s []*pg.Scope) {
	a, b := c.idle(0), c.idle(0)
	must(t, s[0].Join("g", a))
	must(t, s[0].Leave("g", b, a, a))
	if err := s[0].Leave("g", a, b); !errors.Is(err, pg.ErrNotJoined) {
		t.Fatalf("leave of strangers: %v", err)
	}
}

func testNotLocal(t *testing.T, c *cluster, s []*pg.Scope) {
	for _, bad := range []process.PID{c.idle(1), {}, {Node: c.Node(1).Name(), Incarnation: 1, ID: 1}} {
		if err := s[0].Join("g", c.idle(0), bad); !errors.Is(err, pg.ErrNotLocal) {
			t.Fatalf("join of %v: %v", bad, err)
		}
	}
	if len(s[0].Members("g")) > 0 {
		t.Fatal("part of a refused join took place")
	}
}

func testDeath(t *testing.T, c *cluster, s []*pg.Scope) {
	a, b := c.idle(0), c.idle(0)
	for _, g := range []string{"g", "h", "i"} {
		must(t, s[0].Join(g, a, b, a))
		sees(t, s[1], g, a, a, b)
	}
	c.rt[0].Exit(a, process.ErrKill)
	for _, g := range []string{"g", "h", "i"} {
		sees(t, s[0], g, b)
		sees(t, s[1], g, b)
		sees(t, s[2], g, b)
	}
	dead := c.rt[0].Spawn(func(*process.Process) error { return nil })
	meshtest.Eventually(t, "end of a process", func() bool { return !c.rt[0].Alive(dead) })
	must(t, s[0].Join("late", dead))
	sees(t, s[0], "late")
}

func testJoinRace(t *testing.T, c *cluster, s []*pg.Scope) {
	var wg sync.WaitGroup
	for range 200 {
		p := c.idle(0)
		wg.Add(2)
		go func() { defer wg.Done(); _ = s[0].Join("g", p); _ = s[0].Leave("g", p); _ = s[0].Join("g", p) }()
		go func() { defer wg.Done(); c.rt[0].Exit(p, process.ErrKill) }()
	}
	wg.Wait()
	sees(t, s[0], "g")
	sees(t, s[1], "g")
}

func testRemote(t *testing.T, c *cluster, s []*pg.Scope) {
	a := c.idle(0)
	for range 16 {
		must(t, s[0].Join("g", a))
	}
	for range 4 {
		must(t, s[0].Leave("g", a))
	}
	want := make([]process.PID, 12)
	for i := range want {
		want[i] = a
	}
	sees(t, s[1], "g", want...)
	if n := len(s[1].LocalMembers("g")); n != 0 {
		t.Fatalf("%d local members of another node's process", n)
	}
	for range 12 {
		must(t, s[0].Leave("g", a))
	}
	sees(t, s[1], "g")
	if len(s[1].Groups()) > 0 { // PG-23
		t.Fatal("an empty group is kept")
	}
}

func testOneCall(t *testing.T, c *cluster, s []*pg.Scope) {
	local, _ := s[0].MonitorAll()
	remote, _ := s[1].Monitor("g")
	defer local.Close()
	defer remote.Close()
	a, b := c.idle(0), c.idle(0)
	must(t, s[0].Join("g", a, b, a))
	for _, m := range []*pg.Monitor{local, remote} {
		if ev := next(t, m); ev.Kind != pg.Joined || ev.Group != "g" || !same(ev.PIDs, []process.PID{a, a, b}) || ev.Node != c.Node(1).ID() {
			t.Fatalf("event %+v", ev)
		}
	}
}

func testAgree(t *testing.T, c *cluster, s []*pg.Scope) {
	var wg sync.WaitGroup
	var want []process.PID
	for i := range s {
		p, q := c.idle(i), c.idle(i)
		want = append(want, p, p)
		wg.Go(func() {
			for range 200 {
				_ = s[i].Join("g", p, q)
				_ = s[i].Leave("g", q)
				_ = s[i].Leave("g", p)
			}
			_ = s[i].Join("g", p, p)
		})
	}
	wg.Wait()
	for i := range s {
		sees(t, s[i], "g", want...)
	}
}

func testScopes(t *testing.T, c *cluster, s []*pg.Scope) {
	other := c.scope("PG-24_other")
	m, _ := other[1].MonitorAll()
	defer m.Close()
	a := c.idle(0)
	must(t, s[0].Join("g", a))
	sees(t, s[1], "g", a)
	if len(other[1].Members("g")) > 0 {
		t.Fatal("a group of another scope is seen")
	}
	must(t, other[0].Join("x", a))
	if ev := next(t, m); ev.Group != "x" {
		t.Fatalf("event %+v", ev)
	}
}

func testStopped(t *testing.T, c *cluster, s []*pg.Scope) {
	a := c.idle(0)
	must(t, s[0].Join("g", a))
	m, _ := s[0].MonitorAll()
	s[0].Stop()
	if err := s[0].Join("g", a); !errors.Is(err, pg.ErrClosed) {
		t.Fatalf("join: %v", err)
	}
	if err := s[0].Leave("g", a); !errors.Is(err, pg.ErrClosed) {
		t.Fatalf("leave: %v", err)
	}
	if _, err := s[0].Broadcast(background(t), "g", "x"); !errors.Is(err, pg.ErrClosed) {
		t.Fatalf("broadcast: %v", err)
	}
	if len(s[0].Members("g"))+len(s[0].Groups()) > 0 {
		t.Fatal("a stopped scope has members")
	}
	if _, ok := <-m.Events(); ok {
		t.Fatal("the monitor of a stopped scope goes on")
	}
	if m, list := s[0].Monitor("g"); len(list) > 0 {
		t.Fatal("a stopped scope has members")
	} else if _, ok := <-m.Events(); ok {
		t.Fatal("a monitor of a stopped scope runs")
	}
	if _, ok := c.g[0].Lookup(s[0].Name()); ok {
		t.Fatal("the stopped scope is found")
	}
}

func testStopSeen(t *testing.T, c *cluster, s []*pg.Scope) {
	a, b := c.idle(0), c.idle(1)
	must(t, s[0].Join("g", a, a))
	must(t, s[1].Join("g", b))
	sees(t, s[2], "g", a, a, b)
	m, _ := s[2].MonitorAll()
	defer m.Close()
	s[0].Stop()
	if ev := next(t, m); ev.Kind != pg.Left || !same(ev.PIDs, []process.PID{a, a}) || ev.Reason != "" {
		t.Fatalf("event %+v", ev)
	}
	sees(t, s[1], "g", b)
	again := c.start(0, s[0].Name())
	sees(t, again, "g", b)
	must(t, again.Join("g", a))
	sees(t, s[2], "g", a, b)
}

func testEmptyJoin(t *testing.T, c *cluster, s []*pg.Scope) {
	m, _ := s[0].MonitorAll()
	defer m.Close()
	must(t, s[0].Join("g"))
	if len(s[0].Groups()) > 0 {
		t.Fatal("a phantom group")
	}
	a := c.idle(0)
	must(t, s[0].Join("h", a))
	if ev := next(t, m); ev.Group != "h" {
		t.Fatalf("event %+v", ev)
	}
}

func testExactLeaves(t *testing.T, c *cluster, s []*pg.Scope) {
	m, _ := s[1].Monitor("g")
	defer m.Close()
	a, b := c.idle(0), c.idle(0)
	must(t, s[0].Join("g", a, a, a))
	must(t, s[0].Leave("g", b, a, b))
	c.rt[0].Exit(a, process.ErrKill)
	next(t, m)
	if ev := next(t, m); ev.Kind != pg.Left || !same(ev.PIDs, []process.PID{a}) {
		t.Fatalf("leave with strangers: %+v", ev)
	}
	if ev := next(t, m); ev.Kind != pg.Left || !same(ev.PIDs, []process.PID{a, a}) {
		t.Fatalf("death of a member that joined twice: %+v", ev)
	}
}

func testMemberSubscriber(t *testing.T, c *cluster, s []*pg.Scope) {
	for range 20 {
		p := c.idle(0)
		m, _ := s[0].Monitor("g", pg.OwnedBy(p))
		must(t, s[0].Join("g", p))
		c.rt[0].Exit(p, process.ErrKill)
		for range m.Events() { // it ends by itself (PG-47)
		}
		sees(t, s[0], "g")
	}
	ended := c.rt[0].Spawn(func(*process.Process) error { return nil })
	meshtest.Eventually(t, "end of a process", func() bool { return !c.rt[0].Alive(ended) })
	m, _ := s[0].MonitorAll(pg.OwnedBy(ended))
	for range m.Events() {
	}
}

func testObservers(t *testing.T, c *cluster, s []*pg.Scope) {
	a, b := c.idle(0), c.idle(0)
	home, _ := s[0].Monitor("g")
	away, _ := s[1].Monitor("g")
	twice, _ := s[1].Monitor("g") // PG-45
	for _, m := range []*pg.Monitor{home, away, twice} {
		defer m.Close()
	}
	for i := range 300 {
		switch i % 3 {
		case 0:
			must(t, s[0].Join("g", a))
		case 1:
			must(t, s[0].Join("g", b, b))
		default:
			must(t, s[0].Leave("g", b))
		}
	}
	for i := range 300 {
		e1, e2, e3 := next(t, home), next(t, away), next(t, twice)
		if e1.Kind != e2.Kind || !same(e1.PIDs, e2.PIDs) || e2.Kind != e3.Kind || !same(e2.PIDs, e3.PIDs) {
			t.Fatalf("event %d: %+v, %+v, %+v", i, e1, e2, e3)
		}
	}
}

func testBadNames(t *testing.T, c *cluster, s []*pg.Scope) {
	a := c.idle(0)
	long := strings.Repeat("g", 256)
	for _, bad := range []string{"", long} {
		_, err := s[0].Broadcast(background(t), bad, "x")
		_, scope := c.g[0].Scope(bad)
		for what, err := range map[string]error{
			"join": s[0].Join(bad, a), "leave": s[0].Leave(bad, a), "broadcast": err, "scope": scope,
			"pattern": s[0].Subscribe(bad, a), "meta": s[0].SetMeta(bad, a, nil),
		} {
			if !errors.Is(err, pg.ErrBadName) {
				t.Errorf("%s of a name of %d bytes: %v", what, len(bad), err)
			}
		}
	}
	weird := "a b.\x00*..>\xff" + strings.Repeat(".", 100)
	must(t, s[0].Join(weird, a))
	sees(t, s[1], weird, a)
	b, in := c.sink(1)
	d, in2 := c.sink(2)
	must(t, s[1].Join(weird, b))
	must(t, s[2].Join(weird, d))
	sees(t, s[0], weird, a, b, d)
	for i := range 20 {
		_, err := s[0].Broadcast(background(t), weird, i)
		must(t, err)
		if got := take(t, in); got != i {
			t.Fatalf("got %v, want %d", got, i)
		}
		if got := take(t, in2); got != i {
			t.Fatalf("got %v, want %d", got, i)
		}
	}
	for i := range c.g {
		if c.Node(i+1).Context().Err() != nil {
			t.Fatal("a node has stopped")
		}
	}
}

func testMeta(t *testing.T, c *cluster, s []*pg.Scope) {
	a, b := c.idle(0), c.idle(0)
	m, _ := s[1].MonitorAll()
	defer m.Close()
	must(t, s[0].JoinWith("g", pg.Meta{"nick": "alice"}, a))
	must(t, s[0].Join("g", b))
	must(t, s[0].SetMeta("g", a, pg.Meta{"nick": "alice", "away": "yes"}))
	if ev := next(t, m); ev.Kind != pg.Joined || ev.Meta[a]["nick"] != "alice" {
		t.Fatalf("event %+v", ev)
	}
	next(t, m)
	if ev := next(t, m); ev.Kind != pg.Updated || ev.Meta[a]["away"] != "yes" || !same(ev.PIDs, []process.PID{a}) {
		t.Fatalf("event %+v", ev)
	}
	if meta, ok := s[1].Meta("g", a); !ok || meta["away"] != "yes" {
		t.Fatalf("metadata %v", meta)
	}
	if meta, ok := s[1].Meta("g", b); !ok || meta != nil {
		t.Fatalf("metadata %v", meta)
	}
	if list := s[1].Details("g"); len(list) != 2 {
		t.Fatalf("details %v", list)
	}
	if err := s[0].SetMeta("h", a, nil); !errors.Is(err, pg.ErrNotJoined) {
		t.Fatalf("metadata of a stranger: %v", err)
	}
	if err := s[0].SetMeta("g", a, pg.Meta{"x": strings.Repeat("y", 5000)}); !errors.Is(err, pg.ErrMetaTooLarge) {
		t.Fatalf("too much metadata: %v", err)
	}
	must(t, s[0].Leave("g", a))
	must(t, s[0].Join("g", a))
	next(t, m)
	next(t, m)
	if meta, ok := s[1].Meta("g", a); !ok || meta != nil {
		t.Fatalf("metadata outlives membership: %v", meta)
	}
	// A scope that starts later gets it with its first sync.
	must(t, s[0].SetMeta("g", a, pg.Meta{"k": "v"}))
	s[2].Stop()
	late := c.start(2, s[2].Name())
	meshtest.Eventually(t, "metadata after a sync", func() bool {
		meta, _ := late.Meta("g", a)
		return meta["k"] == "v"
	})
}

func testCounts(t *testing.T, c *cluster, s []*pg.Scope) {
	a, b := c.idle(0), c.idle(1)
	must(t, s[0].Join("g", a, a))
	must(t, s[1].Join("g", b))
	sees(t, s[0], "g", a, a, b)
	if n := s[0].Count("g"); n != (pg.Size{Members: 3, Local: 2, Nodes: 2}) {
		t.Fatalf("size %+v", n)
	}
	if n := s[0].GroupCount(); n != 1 {
		t.Fatalf("%d groups", n)
	}
	if n := s[0].Count("h"); n != (pg.Size{}) {
		t.Fatalf("size %+v", n)
	}
}

func testLargeJoin(t *testing.T, c *cluster, s []*pg.Scope) {
	p := c.idle(0)
	list := make([]process.PID, 100_000)
	for i := range list {
		list[i] = p
	}
	m, _ := s[1].Monitor("g")
	defer m.Close()
	must(t, s[0].Join("g", list...))
	if ev := next(t, m); ev.Kind != pg.Joined || len(ev.PIDs) != len(list) {
		t.Fatalf("%v of %d", ev.Kind, len(ev.PIDs))
	}
	s[2].Stop()
	late := c.start(2, s[2].Name())
	meshtest.Eventually(t, "a large group after a sync", func() bool { return late.Count("g").Members == len(list) })
	c.rt[0].Exit(p, process.ErrKill)
	if ev := next(t, m); ev.Kind != pg.Left || len(ev.PIDs) != len(list) {
		t.Fatalf("%v of %d", ev.Kind, len(ev.PIDs))
	}
}

func testLargeMeta(t *testing.T, c *cluster, s []*pg.Scope) {
	s[1].Stop()
	for range 300 {
		must(t, s[0].JoinWith("g", pg.Meta{"k": strings.Repeat("v", 4000)}, c.idle(0)))
	}
	late := c.start(1, s[1].Name())
	meshtest.Eventually(t, "metadata of all", func() bool {
		list := late.Details("g")
		for _, m := range list {
			if len(m.Meta["k"]) != 4000 {
				t.Fatalf("a member without its metadata")
			}
		}
		return len(list) == 300
	})
	if st := c.g[0].Stats(); st.Unsent > 0 {
		t.Fatalf("%d frames were not sent", st.Unsent)
	}
}
