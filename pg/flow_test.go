package pg_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// TestBroadcastBehind freezes one of two nodes with members: the other must not notice, and the frozen one must be told
// how many broadcasts it missed, exactly.
func TestBroadcastBehind(t *testing.T) {
	c := newCluster(t, 3, meshtest.Tick(2*time.Second)) // long enough that the cut is no nodedown
	s := c.scope("s")
	ctx := background(t)
	var ins []<-chan any
	for i := range s {
		p, in := c.sink(i)
		ins = append(ins, in)
		must(t, s[i].Join("g", p))
	}
	for i := range s {
		meshtest.Eventually(t, "members", func() bool { return s[i].Count("g").Nodes == 3 })
	}
	m, _ := s[2].MonitorAll()
	defer m.Close()
	c.Cut(1, 3)
	payload := strings.Repeat("x", 32<<10)
	const n = 400 // more than any window, twice over
	var skipped, slow int
	for i := range n {
		began := time.Now()
		d, err := s[0].Broadcast(ctx, "g", fmt.Sprint(i, ":", payload))
		must(t, err)
		if time.Since(began) > 2*time.Second {
			slow++
		}
		if len(d.Skipped) > 0 {
			if d.Skipped[0] != c.Node(3).ID() || d.Nodes != 2 || d.Members != 2 {
				t.Fatalf("delivery %+v", d)
			}
			skipped++
		}
	}
	if skipped == 0 {
		t.Fatal("nobody was skipped: the test proves nothing")
	}
	if slow > 1 {
		t.Fatalf("%d broadcasts waited for the frozen node, one may", slow)
	}
	for i := range n {
		if got := take(t, ins[1]).(string); !strings.HasPrefix(got, fmt.Sprint(i, ":")) {
			t.Fatalf("the other node got %.20s, want %d", got, i)
		}
	}
	c.Mend(1, 3)
	missed := uint64(0)
	for missed < uint64(skipped) {
		ev := next(t, m)
		if ev.Kind != pg.Missed || ev.Group != "g" || ev.Node != c.Node(1).ID() {
			t.Fatalf("event %+v", ev)
		}
		missed += ev.Count
	}
	if missed != uint64(skipped) {
		t.Fatalf("told of %d missed, %d were skipped", missed, skipped)
	}
	for range n - skipped {
		take(t, ins[2])
	}
	empty(t, ins[2])
	// It has caught up: nothing is skipped any more.
	d, err := s[0].Broadcast(ctx, "g", "after")
	must(t, err)
	if len(d.Skipped) > 0 || take(t, ins[2]) != "after" {
		t.Fatalf("after catching up: %+v", d)
	}
}

// TestBroadcastLargeBehind has one of two other nodes take in nothing but ticks, with room for the beginning of a large
// message: the other members must not notice, nor who stops the scope meanwhile.
func TestBroadcastLargeBehind(t *testing.T) {
	c := newCluster(t, 3, meshtest.Tick(2*time.Second)) // a patience of 4 s
	s := c.scope("s")
	ctx := background(t)
	var ins []<-chan any
	for i := range s {
		p, in := c.sink(i)
		ins = append(ins, in)
		must(t, s[i].Join("g", p))
	}
	meshtest.Eventually(t, "members", func() bool { return s[0].Count("g").Nodes == 3 })
	meshtest.Eventually(t, "topics", func() bool { // without one, no lane is entered that Stop could wait for
		_, err := s[0].Broadcast(ctx, "g", "small")
		must(t, err)
		return c.g[1].Stats().Topics == 1 && c.g[2].Stats().Topics == 1
	})
	for i := range ins {
		meshtest.Eventually(t, "small ones", func() bool { return len(ins[i]) > 0 })
	}
	until := make(chan struct{})
	defer close(until)
	held := make(chan struct{})
	go func() { _ = c.Node(3).Do(ctx, func() { close(held); <-until }) }()
	<-held

	large := strings.Repeat("x", 16<<20) // more than any window
	type result struct {
		d   pg.Delivery
		err error
	}
	results := make(chan result, 1)
	go func() {
		d, err := s[0].Broadcast(context.Background(), "g", large)
		results <- result{d, err}
	}()
	for i := range 2 {
		for take(t, ins[i]) != large {
		}
	}
	s[0].Stop()
	select {
	case r := <-results:
		t.Fatalf("the others were waited for, or nobody was: %+v, %v", r.d, r.err)
	default:
	}
	select {
	case r := <-results:
		must(t, r.err)
		if len(r.d.Skipped) != 1 || r.d.Skipped[0] != c.Node(3).ID() || r.d.Nodes != 2 || r.d.Members != 2 {
			t.Fatalf("delivery %+v", r.d)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the node that takes nothing in is waited for without end")
	}
}

// TestScopesComeAndGo stops and starts scopes while others broadcast to their members: no session may suffer, and in
// the end nothing may be left.
func TestScopesComeAndGo(t *testing.T) {
	c := newCluster(t, 3)
	before := fmt.Sprint(c.Node(1).Peers(), c.Node(2).Peers())
	ctx := background(t)
	var wg sync.WaitGroup
	for i := range c.g {
		wg.Go(func() {
			for range 60 {
				s, err := c.g[i].Scope("s")
				if err != nil {
					t.Error(err)
					return
				}
				_ = s.Join("a.b", c.idle(i))
				_ = s.Subscribe("a.*", c.idle(i))
				for range 20 {
					_, _ = s.Broadcast(ctx, "a.b", "noise")
				}
				s.Stop()
			}
		})
	}
	wg.Wait()
	for i := range c.g {
		meshtest.Eventually(t, "topics given back", func() bool { return c.g[i].Stats().Topics == 0 })
		if st := c.g[i].Stats(); st.BadFrames+st.BadMessages+st.Unsent > 0 {
			t.Errorf("node %d: %+v", i, st)
		}
	}
	if now := fmt.Sprint(c.Node(1).Peers(), c.Node(2).Peers()); now != before {
		t.Errorf("sessions were replaced: %v, before %v", now, before)
	}
}

// TestBroadcastToMany is what a session's window alone does not bound: small broadcasts that are many deliveries.
func TestBroadcastToMany(t *testing.T) {
	c := newCluster(t, 3, meshtest.Tick(2*time.Second)) // a crowded machine may do nothing for a while
	s := c.scope("s")
	ctx := background(t)
	const members, n = 2000, 500
	var got atomic.Int64
	for i := range s {
		var list []process.PID
		for range members {
			list = append(list, c.rt[i].Spawn(func(self *process.Process) error {
				for want := 0; ; want++ {
					msg, err := self.Receive(self.Context())
					if err != nil {
						return nil
					}
					if msg != want {
						t.Errorf("got %v, want %d", msg, want)
					}
					got.Add(1)
				}
			}))
		}
		must(t, s[i].Join("g", list...))
	}
	meshtest.Eventually(t, "members", func() bool { return s[0].Count("g").Members == 3*members })
	longest := time.Duration(0)
	stop := make(chan struct{})
	seen, _ := s[2].Monitor("other")
	defer seen.Close()
	var calls sync.WaitGroup
	calls.Go(func() { // somebody else talks to one of the nodes meanwhile
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			if err := s[1].Join("other", c.idle(1)); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-seen.Events():
			case <-ctx.Done():
				t.Error("a join was never seen")
				return
			}
			longest = max(longest, time.Since(began))
		}
	})
	for i := range n {
		d, err := s[0].Broadcast(ctx, "g", i)
		must(t, err)
		if len(d.Skipped) > 0 || d.Members != 3*members {
			t.Fatalf("broadcast %d: %+v", i, d)
		}
	}
	close(stop)
	calls.Wait()
	meshtest.Eventually(t, "deliveries", func() bool { return got.Load() == 3*members*n }, time.Minute)
	t.Logf("a join took up to %v to be seen meanwhile", longest)
}

// TestBroadcastBytes counts what crosses the wire: it grows with the nodes, not with the members.
func TestBroadcastBytes(t *testing.T) {
	const nodes, members, n, size = 10, 30_000, 20, 20_000 // large, so that ticks do not count

	c := newCluster(t, nodes, meshtest.Tick(2*time.Second)) // ten nodes share this machine
	s := c.scope("s")
	ctx := background(t)
	var got atomic.Int64
	for i := range s {
		var list []process.PID
		for range members / nodes {
			list = append(list, c.counter(i, &got))
		}
		must(t, s[i].Join("few", list[0]))
		must(t, s[i].Join("many", list...))
	}
	// What the joins sent must be through everywhere, lest it count as a broadcast's.
	for _, at := range s {
		meshtest.Eventually(t, "members", func() bool { return at.Count("many").Members == members && at.Count("few").Members == nodes })
	}
	// Nodes that met while processes joined may have asked for all of them once more.
	last, since := c.Node(1).Counters()["bytes_out"], time.Now()
	meshtest.Eventually(t, "quiet", func() bool {
		if now := c.Node(1).Counters()["bytes_out"]; now-last > size {
			last, since = now, time.Now()
		}
		return time.Since(since) > 200*time.Millisecond
	})
	sent := func() (bytes int64) {
		for i := range nodes - 1 {
			bytes += c.Links().Bytes(c.Node(1).Name(), c.Node(i+2).Name())
		}
		return bytes
	}
	cost := func(group string, each int64) int64 {
		round := func(k int) {
			got.Store(0)
			start := sent()
			for range k {
				d, err := s[0].Broadcast(ctx, group, strings.Repeat("x", size))
				must(t, err)
				if len(d.Skipped) > 0 {
					t.Fatalf("delivery %+v", d)
				}
			}
			meshtest.Eventually(t, "deliveries", func() bool { return got.Load() == each*int64(k) }, time.Minute)
			// The links count what they have written, which may be a moment later.
			meshtest.Eventually(t, "bytes", func() bool { return sent()-start >= int64(k)*size*(nodes-1) })
		}
		round(5) // topics are taken
		before := sent()
		round(n)
		return (sent() - before) / n
	}
	few, many := cost("few", nodes), cost("many", members)
	t.Logf("a broadcast of %d bytes to 9 other nodes: %d bytes to %d members, %d to %d", size, few, nodes, many, members)
	if few < 9*size || many > few+few/4 || few > 9*size*5/4 {
		t.Fatalf("bytes grow with members: %d for %d members, %d for %d", few, nodes, many, members)
	}
}
