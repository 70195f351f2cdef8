package pg_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

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

	t.Run("topic_and_wildcard_bring_it_once", func(t *testing.T) {
		s := c.scope(t.Name())
		defer stop(s)
		var ins []<-chan any
		for i := 1; i < 3; i++ {
			p, in := c.sink(i)
			ins = append(ins, in)
			must(t, s[i].Join("sport.tennis.goal", p))
		}
		meshtest.Eventually(t, "members", func() bool { return s[0].Count("sport.tennis.goal").Nodes == 2 })
		topics := func(n int) {
			meshtest.Eventually(t, "topics", func() bool { return c.g[1].Stats().Topics == n && c.g[2].Stats().Topics == n })
		}
		send := func(group string, copies int) {
			for i := range 100 {
				_, err := s[0].Broadcast(ctx, group, i)
				must(t, err)
			}
			for i := range 100 * copies {
				for _, in := range ins {
					if got := take(t, in); got != i/copies {
						t.Fatalf("got %v, want %d", got, i/copies)
					}
				}
			}
		}
		before := c.g[1].Stats().Topics
		send("sport.tennis.goal", 1)
		topics(before + 1)
		for i := 1; i < 3; i++ {
			must(t, s[i].Subscribe("sport.>", s[i].LocalMembers("sport.tennis.goal")...))
		}
		meshtest.Eventually(t, "subscribers", func() bool { return len(s[0].Subscribers("sport.golf.goal")) == 2 })
		send("sport.golf.goal", 1)
		topics(before + 2)
		twice := c.Node(2).Counters()["frames_twice"]
		send("sport.tennis.goal", 2)
		if now := c.Node(2).Counters(); now["frames_twice"] == twice || now["frames_lost"] > 0 {
			t.Fatalf("the test proves nothing: %v", now)
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
