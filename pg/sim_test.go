package pg

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/kith-mesh/kith/process"
	"pgregory.net/rapid"
)

// TestMesh runs random things on three nodes whose links are slow, cut and mended, and compares what they agree on in
// the end with what is true, what monitors were told, and what processes received.
func TestMesh(t *testing.T) {
	t.Run("PG-37_PG-44_converges", rapid.MakeCheck(meshProperty))
}

func meshProperty(t *rapid.T) {
	w := newWorld(t.Fatalf, 3)
	defer w.close()
	groups := []string{"a", "a.b", "a.c"}
	patterns := []string{"a.*", ">"}
	scopes := make([]*Scope, len(w.nodes))
	followers := make([]*follower, len(w.nodes))
	procs := make([][]process.PID, len(w.nodes))
	seqs := map[string]uint64{}
	begin := func(i int) {
		s, err := w.nodes[i].groups.Scope("s")
		if err != nil {
			t.Fatal(err)
		}
		scopes[i], followers[i] = s, follow(s)
	}
	for i, n := range w.nodes {
		begin(i)
		for range 3 {
			procs[i] = append(procs[i], n.spawn())
		}
	}
	anyNode := rapid.IntRange(0, len(w.nodes)-1)
	pair := func(t *rapid.T) (*simNode, *simNode) {
		a := anyNode.Draw(t, "a")
		b := (a + 1 + rapid.IntRange(0, len(w.nodes)-2).Draw(t, "b")) % len(w.nodes)
		return w.nodes[a], w.nodes[b]
	}
	for i := range w.nodes {
		w.connect(w.nodes[i], w.nodes[(i+1)%len(w.nodes)])
	}
	members := func(t *rapid.T, i int) []process.PID {
		return rapid.SliceOfN(rapid.SampledFrom(procs[i]), 1, 3).Draw(t, "pids")
	}
	step := func(t *rapid.T) {
		a, b := pair(t)
		a.step(b)
	}
	broadcast := func(t *rapid.T) {
		i, g := anyNode.Draw(t, "node"), rapid.SampledFrom(groups).Draw(t, "group")
		name := fmt.Sprintf("%d/%s", i, g)
		seqs[name]++
		seen := len(scopes[i].Subscribers(g))
		d, err := scopes[i].Broadcast(context.Background(), g, stamp{name, seqs[name]})
		if err != nil {
			t.Fatal(err)
		}
		if d.Members > seen || len(d.Skipped) > 0 {
			t.Fatalf("broadcast to %d members: %+v", seen, d)
		}
	}
	join := func(t *rapid.T) {
		i := anyNode.Draw(t, "node")
		if err := scopes[i].Join(rapid.SampledFrom(groups).Draw(t, "group"), members(t, i)...); err != nil {
			t.Fatal(err)
		}
	}
	leave := func(t *rapid.T) {
		i := anyNode.Draw(t, "node")
		_ = scopes[i].Leave(rapid.SampledFrom(groups).Draw(t, "group"), members(t, i)...)
	}
	t.Repeat(map[string]func(*rapid.T){
		"step": step, "step2": step, "step3": step, "step4": step, "step5": step,
		"join": join, "join2": join, "leave": leave, "leave2": leave,
		"broadcast": broadcast, "broadcast2": broadcast, "broadcast3": broadcast,
		"settle": func(t *rapid.T) { w.settle() },
		"subscribe": func(t *rapid.T) {
			i := anyNode.Draw(t, "node")
			if err := scopes[i].Subscribe(rapid.SampledFrom(patterns).Draw(t, "pattern"), members(t, i)...); err != nil {
				t.Fatal(err)
			}
		},
		"unsubscribe": func(t *rapid.T) {
			i := anyNode.Draw(t, "node")
			_ = scopes[i].Unsubscribe(rapid.SampledFrom(patterns).Draw(t, "pattern"), members(t, i)...)
		},
		"kill": func(t *rapid.T) {
			i := anyNode.Draw(t, "node")
			j := rapid.IntRange(0, len(procs[i])-1).Draw(t, "process")
			dead := procs[i][j]
			procs[i][j] = w.nodes[i].spawn()
			w.nodes[i].kill(dead)
			eventually(t, "a dead process leaves", func() bool {
				scopes[i].mu.RLock()
				defer scopes[i].mu.RUnlock()
				return scopes[i].table.residents[dead.ID] == nil && w.nodes[i].groups.deaths.queue.Len() == 0
			})
		},
		"cut":  func(t *rapid.T) { a, b := pair(t); w.cut(a, b) },
		"mend": func(t *rapid.T) { a, b := pair(t); w.connect(a, b) },
		"restart": func(t *rapid.T) {
			i := anyNode.Draw(t, "node")
			scopes[i].Stop()
			if err := scopes[i].Join("a", procs[i][0]); err == nil {
				t.Fatal("join on a stopped scope (PG-25)")
			}
			begin(i)
		},
		"": func(t *rapid.T) {
			for _, s := range scopes {
				s.mu.RLock()
				err := s.table.verify()
				s.mu.RUnlock()
				if err != nil {
					t.Fatal(err)
				}
			}
		},
	})
	for i := range w.nodes {
		w.connect(w.nodes[i], w.nodes[(i+1)%len(w.nodes)])
	}
	w.settle()
	checkAgreement(t, w, scopes, followers, append(groups, "a.z"))
	checkOrder(t, w, procs)
	// When everybody has left, nothing is left.
	for i, s := range scopes {
		for _, g := range groups {
			for s.Leave(g, procs[i]...) == nil {
			}
		}
		for _, p := range patterns {
			for s.Unsubscribe(p, procs[i]...) == nil {
			}
		}
	}
	w.settle()
	for i, n := range w.nodes {
		if len(n.topics) > 0 || n.groups.Stats().Topics != 0 {
			t.Fatalf("%s keeps topics %v", n.id.Name, n.topics)
		}
		if g := scopes[i].Groups(); len(g) > 0 || len(scopes[i].watches) > 0 || len(scopes[i].table.globs) > 0 {
			t.Fatalf("%s keeps groups %v, watches %v", n.id.Name, g, scopes[i].watches)
		}
		if st := n.groups.Stats(); st.BadFrames+st.BadMessages+st.Unsent+st.Skipped > 0 {
			t.Fatalf("%s: %+v", n.id.Name, st)
		}
	}
}

func checkAgreement(t *rapid.T, w *world, scopes []*Scope, followers []*follower, groups []string) {
	for _, g := range groups {
		want, subs := map[process.PID]int{}, map[process.PID]int{}
		for _, s := range scopes {
			for _, p := range s.LocalMembers(g) {
				want[p]++
			}
			for _, p := range s.Subscribers(g) {
				if p.NodeID() == s.g.self {
					subs[p]++
				}
			}
		}
		for i, s := range scopes {
			if got := counts(s.Members(g)); !maps.Equal(got, want) {
				t.Fatalf("%s sees %v in %q, want %v", w.nodes[i].id.Name, got, g, want)
			}
			if got := counts(s.Subscribers(g)); !maps.Equal(got, subs) {
				t.Fatalf("%s sees %v subscribed to %q, want %v", w.nodes[i].id.Name, got, g, subs)
			}
			followers[i].drain()
			if got := followers[i].view[g]; !maps.Equal(got, want) {
				t.Fatalf("the monitor of %s told %v of %q, want %v", w.nodes[i].id.Name, got, g, want)
			}
		}
	}
}

// checkOrder verifies that each process has seen each sender's broadcasts in order, and none more often than it was in
// the group.
func checkOrder(t *rapid.T, w *world, procs [][]process.PID) {
	for i, n := range w.nodes {
		for _, p := range procs[i] {
			last := map[string]uint64{}
			for _, msg := range n.inbox(p) {
				m := msg.(stamp)
				if m.seq < last[m.from] {
					t.Fatalf("%v got %d of %s after %d", p, m.seq, m.from, last[m.from])
				}
				last[m.from] = m.seq
			}
		}
	}
}

// TestPGHerd joins while one full sync after the other comes in.
func TestPGHerd(t *testing.T) {
	t.Run("PG-13_thundering_herd", func(t *testing.T) {
		w := newWorld(t.Fatalf, 2)
		defer w.close()
		a, b := w.nodes[0], w.nodes[1]
		s, err := a.groups.Scope("pg")
		if err != nil {
			t.Fatal(err)
		}
		w.connect(a, b)
		w.settle()
		peer := a.up[b.id]
		var frames [][]byte
		sw := newSyncWriter("pg", true, func(frame []byte) { frames = append(frames, slices.Clone(frame)) })
		for i := range 500 {
			sw.add(part{key: key{name: fmt.Sprint("theirs", i)}, ids: []uint64{1, 2, 3}})
		}
		sw.end(true)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 2000 {
				for _, f := range frames {
					a.groups.Frame(peer, f)
				}
			}
		}()
		p := a.spawn()
		longest := time.Duration(0)
		for i := range 10_000 {
			began := time.Now()
			if err := s.Join(fmt.Sprint("ours", i), p); err != nil {
				t.Fatal(err)
			}
			longest = max(longest, time.Since(began))
		}
		<-done
		if longest > time.Second || s.GroupCount() != 10_500 {
			t.Fatalf("a join took %v; %d groups", longest, s.GroupCount())
		}
	})
}

// TestLane waits for what is under way.
func TestLane(t *testing.T) {
	l := newLane(1)
	released := 0
	l.enter()
	l.enter()
	l.close(func() { released++ })
	l.leave()
	if released != 0 {
		t.Fatal("released while a broadcast was under way")
	}
	l.leave()
	if released != 1 {
		t.Fatal("not released by the last broadcast")
	}
	l = newLane(2)
	l.close(func() { released++ })
	if released != 2 {
		t.Fatal("an idle lane is not released at once")
	}
}
