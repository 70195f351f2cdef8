package pg_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// line is a broadcast of a test: its sender and its number.
func line(sender, n int) string { return fmt.Sprintf("%d:%d", sender, n) }

// inOrder takes count messages and checks that each sender's come in order from 0.
func inOrder(t *testing.T, in <-chan any, count int) {
	t.Helper()
	next := map[string]int{}
	for range count {
		msg := take(t, in).(string)
		from, n, _ := strings.Cut(msg, ":")
		if want := fmt.Sprint(next[from]); n != want {
			t.Fatalf("got %s of %s, want %s", n, from, want)
		}
		next[from]++
	}
}

func stop(list []*pg.Scope) {
	for _, s := range list {
		s.Stop()
	}
}

func empty(t *testing.T, in <-chan any) {
	t.Helper()
	select {
	case msg := <-in:
		t.Fatalf("one more: %v", msg)
	default:
	}
}

func TestBroadcast(t *testing.T) {
	c := newCluster(t, 3)
	ctx := background(t)

	t.Run("PG-56_each_membership_a_copy", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		a, inA := c.sink(0)
		b, inB := c.sink(1)
		must(t, s[0].Join("g", a))
		must(t, s[1].Join("g", b, b))
		sees(t, s[0], "g", a, b, b)
		d, err := s[0].Broadcast(ctx, "g", "hello")
		must(t, err)
		if d.Members != 3 || d.Nodes != 2 || len(d.Skipped) > 0 {
			t.Fatalf("delivery %+v", d)
		}
		take(t, inA)
		take(t, inB)
		take(t, inB)
		if d, err := s[2].Broadcast(ctx, "nobody", "hello"); err != nil || d.Members+d.Nodes != 0 {
			t.Fatalf("to nobody: %+v, %v", d, err)
		}
		empty(t, inA)
		empty(t, inB)
	})

	t.Run("CHAT-01_CHAT-02_CHAT-03_order_while_topics_come_and_go", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		const each = 3000
		var ins []<-chan any
		for i := range s {
			p, in := c.sink(i)
			ins = append(ins, in)
			must(t, s[i].Join("g", p))
		}
		for i := range s {
			meshtest.Eventually(t, "members", func() bool { return s[i].Count("g").Nodes == 3 })
		}
		var wg sync.WaitGroup
		for i := range s {
			wg.Go(func() {
				for n := range each {
					if d, err := s[i].Broadcast(ctx, "g", line(i, n)); err != nil || len(d.Skipped) > 0 || d.Nodes != 3 {
						t.Errorf("broadcast: %+v, %v", d, err)
						return
					}
				}
			})
		}
		for _, in := range ins {
			inOrder(t, in, 3*each)
		}
		wg.Wait()
		for i := range c.g {
			if n := c.g[i].Stats().Topics; n != 1 {
				t.Errorf("node %d has %d topics, want that of the group", i, n)
			}
		}
		// The last member of a node leaves while others go on: no session may suffer.
		peers := c.Node(1).Peers()
		halt := make(chan struct{})
		var bg sync.WaitGroup
		bg.Go(func() {
			for {
				select {
				case <-halt:
					return
				default:
					_, _ = s[0].Broadcast(ctx, "g", "noise")
				}
			}
		})
		for range 100 {
			p := c.idle(1)
			for _, q := range s[1].LocalMembers("g") {
				must(t, s[1].Leave("g", q))
			}
			must(t, s[1].Join("g", p))
			meshtest.Eventually(t, "the new member", func() bool { return same(s[1].LocalMembers("g"), []process.PID{p}) })
		}
		close(halt)
		bg.Wait()
		if now := c.Node(1).Peers(); fmt.Sprint(now) != fmt.Sprint(peers) {
			t.Fatalf("sessions were replaced: %v, before %v", now, peers)
		}
		for i := range s {
			for _, q := range s[i].LocalMembers("g") {
				must(t, s[i].Leave("g", q))
			}
		}
		meshtest.Eventually(t, "topics given back", func() bool {
			return c.g[0].Stats().Topics+c.g[1].Stats().Topics+c.g[2].Stats().Topics == 0
		})
	})

	t.Run("whoever_sees_a_member_reaches_it", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		other, _ := c.sink(2)
		for i := range 2000 {
			group := fmt.Sprint("g", i%50) // with topics that exist already, and without
			must(t, s[2].Join(group, other))
			p, in := c.sink(1)
			m, members := s[0].Monitor(group)
			must(t, s[1].Join(group, p))
			for len(members) == 0 || members[len(members)-1] != p {
				ev := next(t, m)
				members = ev.PIDs
			}
			m.Close()
			if _, err := s[0].Broadcast(ctx, group, i); err != nil {
				t.Fatal(err)
			}
			if got := take(t, in); got != i {
				t.Fatalf("got %v, want %d", got, i)
			}
			c.rt[1].Exit(p, process.ErrKill)
		}
	})

	t.Run("hierarchical", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		exact, inExact := c.sink(1)
		star, inStar := c.sink(1)
		tail, inTail := c.sink(2)
		both, inBoth := c.sink(0)
		must(t, s[1].Join("sport.tennis.goal", exact))
		must(t, s[1].Subscribe("sport.*.goal", star))
		must(t, s[2].Subscribe("sport.>", tail))
		must(t, s[0].Join("sport.tennis.goal", both))
		must(t, s[0].Subscribe("sport.>", both))
		meshtest.Eventually(t, "subscriptions", func() bool { return len(s[0].Subscribers("sport.tennis.goal")) == 5 })
		const rounds = 200
		for n := range rounds {
			for _, group := range []string{"sport.tennis.goal", "sport.golf.goal", "sport.golf", "news.tennis.goal"} {
				_, err := s[0].Broadcast(ctx, group, group)
				must(t, err)
			}
			if got := take(t, inExact); got != "sport.tennis.goal" {
				t.Fatalf("got %v", got)
			}
			for _, want := range []string{"sport.tennis.goal", "sport.golf.goal"} {
				if got := take(t, inStar); got != want {
					t.Fatalf("got %v, want %v in round %d", got, want, n)
				}
			}
			for _, want := range []string{"sport.tennis.goal", "sport.golf.goal", "sport.golf"} {
				if got := take(t, inTail); got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			}
			for _, want := range []string{"sport.tennis.goal", "sport.tennis.goal", "sport.golf.goal", "sport.golf"} {
				if got := take(t, inBoth); got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			}
		}
		if g := s[0].Groups(); len(g) != 1 {
			t.Fatalf("groups %q", g)
		}
		must(t, s[1].Unsubscribe("sport.*.goal", star))
		must(t, s[2].Unsubscribe("sport.>", tail))
		must(t, s[0].Unsubscribe("sport.>", both))
		for i := range s {
			for _, q := range s[i].LocalMembers("sport.tennis.goal") {
				must(t, s[i].Leave("sport.tennis.goal", q))
			}
		}
		for i := range c.g {
			meshtest.Eventually(t, "topics given back", func() bool { return c.g[i].Stats().Topics == 0 })
			if lost := c.Node(i + 1).Counters()["frames_lost"]; lost > 0 {
				t.Fatalf("%d frames lost", lost)
			}
		}
	})

	t.Run("errors", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		a, in := c.sink(0)
		b, inB := c.sink(1)
		must(t, s[0].Join("g", a))
		must(t, s[1].Join("g", b))
		sees(t, s[0], "g", a, b)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err1 := s[0].Broadcast(ended, "g", "x")
		_, err2 := s[0].Broadcast(ctx, "g", strings.Repeat("x", c.Node(1).MaxMessage()))
		_, err3 := s[0].Broadcast(ctx, "g", struct{ X int }{1})
		if !errors.Is(err1, context.Canceled) || !errors.Is(err2, node.ErrTooLarge) || !errors.Is(err3, process.ErrUnregisteredType) {
			t.Fatalf("errors: %v, %v, %v", err1, err2, err3)
		}
		if _, err := s[0].Broadcast(ctx, "g", "y"); err != nil {
			t.Fatal(err)
		}
		if got := take(t, in); got != "y" {
			t.Fatalf("a refused broadcast was delivered: %.20v", got)
		}
		if got := take(t, inB); got != "y" {
			t.Fatalf("a refused broadcast was delivered: %.20v", got)
		}
	})

	t.Run("large_messages", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		var ins []<-chan any
		for i := range s {
			p, in := c.sink(i)
			ins = append(ins, in)
			must(t, s[i].Join("g", p))
		}
		meshtest.Eventually(t, "members", func() bool { return s[0].Count("g").Nodes == 3 })
		sizes := []int{10, 5 << 20, 10, 127 << 10, 128 << 10, 129 << 10, 1, 300 << 10}
		for range 3 {
			for _, size := range sizes {
				_, err := s[0].Broadcast(ctx, "g", strings.Repeat("x", size))
				must(t, err)
			}
		}
		for _, in := range ins {
			for range 3 {
				for _, size := range sizes {
					if got := len(take(t, in).(string)); got != size {
						t.Fatalf("got %d bytes, want %d", got, size)
					}
				}
			}
		}
	})
}

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
	var calls sync.WaitGroup
	calls.Go(func() { // somebody else talks to one of the nodes meanwhile
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			must(t, s[1].Join("other", c.idle(1)))
			want := s[1].Count("other").Local
			for s[2].Count("other").Members < want {
				time.Sleep(time.Millisecond)
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
	const nodes, members, n, size = 10, 30_000, 20, 1000
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
	meshtest.Eventually(t, "members", func() bool { return s[0].Count("many").Members == members && s[0].Count("few").Members == nodes })
	sent := func() (bytes int64) {
		for i := range nodes - 1 {
			bytes += c.Links().Bytes(c.Node(1).Name(), c.Node(i+2).Name())
		}
		return bytes
	}
	cost := func(group string, each int64) int64 {
		round := func(k int) {
			got.Store(0)
			for range k {
				d, err := s[0].Broadcast(ctx, group, strings.Repeat("x", size))
				must(t, err)
				if len(d.Skipped) > 0 {
					t.Fatalf("delivery %+v", d)
				}
			}
			meshtest.Eventually(t, "deliveries", func() bool { return got.Load() == each*int64(k) }, time.Minute)
		}
		round(5) // topics are taken
		before := sent()
		round(n)
		return (sent() - before) / n
	}
	few, many := cost("few", nodes), cost("many", members)
	t.Logf("a broadcast of %d bytes to 9 other nodes: %d bytes to %d members, %d to %d", size, few, nodes, many, members)
	if few < 9*size || many > few+few/2 || many > 9*2*size {
		t.Fatalf("bytes grow with members: %d for %d members, %d for %d", few, nodes, many, members)
	}
}
