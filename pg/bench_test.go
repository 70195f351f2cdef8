//go:build unix

package pg_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// direct starts n nodes without anything between them.
func direct(b testing.TB, n int) *cluster {
	b.Helper()
	c := &cluster{t: b}
	dir := b.TempDir()
	var nodes []*node.Node
	for i := range n {
		nd, err := node.Start(context.Background(), node.Config{
			Name: fmt.Sprintf("b%d@127.0.0.1", i), Cookie: []byte("a cookie of the benchmarks"), Plaintext: true, DataDir: dir,
		})
		must(b, err)
		b.Cleanup(func() { _ = nd.Close() })
		nodes = append(nodes, nd)
	}
	for _, nd := range nodes {
		must(b, nd.WaitPeers(background(b), n-1))
		rt, err := process.New(nd)
		must(b, err)
		g, err := pg.New(rt)
		must(b, err)
		c.rt, c.g = append(c.rt, rt), append(c.g, g)
	}
	return c
}

// cpu is the processor time that this process has used. On a busy machine it says more than the clock.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// arrive waits for a condition, a minute at most.
func arrive(b testing.TB, what string, ok func() bool) {
	b.Helper()
	if !until(time.Minute, ok) {
		b.Fatalf("%s: not within a minute", what)
	}
}

// until waits for a condition, and says whether it came to hold. It asks more often than meshtest.Eventually does, for
// what is measured, and works where there is no test.
func until(limit time.Duration, ok func() bool) bool {
	tick := time.NewTicker(50 * time.Microsecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); !ok(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// BenchmarkJoin is one process that joins group after group, until all are visible on three nodes.
func BenchmarkJoin(b *testing.B) {
	c := direct(b, 3)
	s := c.scope("bench")
	p := c.idle(0)
	names := make([]string, b.N)
	for i := range names {
		names[i] = fmt.Sprint("group", i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	used := cpu()
	for _, name := range names {
		if err := s[0].Join(name, p); err != nil {
			b.Fatal(err)
		}
	}
	for _, other := range s[1:] {
		arrive(b, "all groups", func() bool { return other.GroupCount() == b.N })
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "joins/s")
	b.ReportMetric(float64(b.N)/(cpu()-used).Seconds(), "joins/cpu-s")
}

// BenchmarkJoinVisible is the time from a join until another node's monitor tells of it.
func BenchmarkJoinVisible(b *testing.B) {
	c := direct(b, 2)
	s := c.scope("bench")
	p := c.idle(0)
	m, _ := s[1].MonitorAll()
	defer m.Close()
	for b.Loop() {
		if err := s[0].Join("g", p); err != nil {
			b.Fatal(err)
		}
		<-m.Events()
		if err := s[0].Leave("g", p); err != nil {
			b.Fatal(err)
		}
		<-m.Events()
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N)/2, "µs/visible")
}

// fanout broadcasts from the first node to members on two nodes and reports deliveries per second.
func fanout(b *testing.B, from, members int, on []int) {
	nodes := from
	for _, i := range on {
		nodes = max(nodes, i)
	}
	c := direct(b, nodes+1)
	s := c.scope("bench")
	var got atomic.Int64
	for _, i := range on {
		var list []process.PID
		for range members / len(on) {
			list = append(list, c.counter(i, &got))
		}
		must(b, s[i].Join("g", list...))
	}
	arrive(b, "all members", func() bool { return s[from].Count("g").Members == members })
	msg := make([]byte, 128)
	ctx := context.Background()
	skipped := 0
	send := func() {
		d, err := s[from].Broadcast(ctx, "g", msg)
		if err != nil {
			b.Fatal(err)
		}
		skipped += len(d.Skipped)
	}
	send()
	arrive(b, "the first broadcast", func() bool { return got.Load() == int64(members) })
	got.Store(0)
	b.ReportAllocs()
	used := cpu()
	for b.Loop() {
		send()
	}
	if skipped > 0 {
		b.Fatalf("%d skipped", skipped)
	}
	arrive(b, "all deliveries", func() bool { return got.Load() == int64(b.N*members) })
	b.ReportMetric(float64(b.N*members)/b.Elapsed().Seconds(), "deliveries/s")
	b.ReportMetric(float64(b.N*members)/(cpu()-used).Seconds(), "deliveries/cpu-s")
}

// BenchmarkBroadcast20 is 20 members on two other nodes.
func BenchmarkBroadcast20(b *testing.B) { fanout(b, 0, 20, []int{1, 2}) }

// BenchmarkBroadcastOther is 20 members on one other node.
func BenchmarkBroadcastOther(b *testing.B) { fanout(b, 0, 20, []int{1}) }

// BenchmarkBroadcastNodes is one member on each of several other nodes: as many broadcasts as go, and one at a time.
func BenchmarkBroadcastNodes(b *testing.B) {
	for _, n := range []int{1, 2, 4, 8} {
		var on []int
		for i := range n {
			on = append(on, i+1)
		}
		b.Run(fmt.Sprint("stream/", n), func(b *testing.B) { fanout(b, 0, n, on) })
		b.Run(fmt.Sprint("single/", n), func(b *testing.B) {
			c := direct(b, n+1)
			s := c.scope("bench")
			got := make(chan struct{}, 1024)
			for _, i := range on {
				must(b, s[i].Join("g", c.rt[i].Spawn(func(self *process.Process) error {
					for {
						if _, err := self.Receive(self.Context()); err != nil {
							return nil
						}
						got <- struct{}{}
					}
				})))
			}
			arrive(b, "all members", func() bool { return s[0].Count("g").Members == n })
			once := func() {
				if _, err := s[0].Broadcast(context.Background(), "g", 1); err != nil {
					b.Fatal(err)
				}
				for range n {
					<-got
				}
			}
			for range 100 {
				once()
			}
			used := cpu()
			for b.Loop() {
				once()
			}
			b.ReportMetric(float64((cpu()-used).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// BenchmarkFanout is 10,000 members on two nodes.
func BenchmarkFanout(b *testing.B) { fanout(b, 0, 10_000, []int{0, 1}) }

// BenchmarkFanoutAway is 10,000 members on two other nodes.
func BenchmarkFanoutAway(b *testing.B) { fanout(b, 0, 10_000, []int{1, 2}) }

// BenchmarkSync is a scope with 100,000 groups that starts on a second node, until that sees them all.
func BenchmarkSync(b *testing.B) {
	const groups = 100_000
	c := direct(b, 2)
	s := c.scope("bench")
	p := c.idle(0)
	for i := range groups {
		must(b, s[0].Join(fmt.Sprintf("group-%06d", i), p))
	}
	b.ResetTimer()
	for b.Loop() {
		s[1].Stop()
		s[1] = c.start(1, "bench")
		arrive(b, "all groups", func() bool { return s[1].GroupCount() == groups })
	}
}

// BenchmarkMembers reads a group of 3 members from several goroutines while another one joins and leaves.
func BenchmarkMembers(b *testing.B) {
	c := direct(b, 1)
	s := c.scope("bench")
	must(b, s[0].Join("g", c.idle(0), c.idle(0), c.idle(0)))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		p := c.idle(0)
		for {
			select {
			case <-stop:
				return
			default:
				_ = s[0].Join("other", p)
				_ = s[0].Leave("other", p)
			}
		}
	})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if len(s[0].Members("g")) != 3 {
				b.Error("members")
			}
		}
	})
	close(stop)
	wg.Wait()
}
