package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"sort"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/node"
)

const cookie = "a cookie of the benchmarks"

// echo answers each frame on its own protocol.
type echo struct {
	n     *node.Node
	count atomic.Uint64
	reply bool
	got   func(payload []byte)
}

func (e *echo) PeerUp(node.Peer)                {}
func (e *echo) PeerDown(node.Peer, node.Reason) {}
func (e *echo) Frame(p node.Peer, b []byte) {
	e.count.Add(1)
	if e.reply {
		go func() { _ = e.n.Send(context.Background(), p.ID, node.ProtocolUser, 0, b) }()
	}
	if e.got != nil {
		e.got(b)
	}
}

func pair(b testing.TB) (a, z *node.Node) {
	dir := b.TempDir()
	var list []*node.Node
	for i := range 2 {
		n, err := node.Start(b.Context(), node.Config{Name: fmt.Sprintf("n%d@127.0.0.1", i), Cookie: []byte(cookie), Plaintext: true, DataDir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { n.Close() })
		list = append(list, n)
	}
	if err := list[0].WaitPeers(b.Context(), 1); err != nil {
		b.Fatal(err)
	}
	return list[0], list[1]
}

// BenchmarkSend is one sender to one handler on another node, 128 bytes each.
func BenchmarkSend(b *testing.B) {
	a, z := pair(b)
	ez, ea := &echo{n: z}, &echo{n: a}
	_, _ = z.Handle(node.ProtocolUser, ez), a.Handle(node.ProtocolUser, ea)
	payload := make([]byte, 128)
	to := node.ID{Name: z.Name()}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Send(context.Background(), to, node.ProtocolUser, 0, payload); err != nil {
			b.Fatal(err)
		}
	}
	for ez.count.Load() < uint64(b.N) {
		time.Sleep(time.Millisecond)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkSendLarge is one sender of messages of 1 MiB, which travel in parts.
func BenchmarkSendLarge(b *testing.B) {
	a, z := pair(b)
	ez, ea := &echo{n: z}, &echo{n: a}
	_, _ = z.Handle(node.ProtocolUser, ez), a.Handle(node.ProtocolUser, ea)
	payload := make([]byte, 1<<20)
	to := node.ID{Name: z.Name()}
	b.ReportAllocs()
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if err := a.Send(context.Background(), to, node.ProtocolUser, 0, payload); err != nil {
			b.Fatal(err)
		}
	}
	for ez.count.Load() < uint64(b.N) {
		time.Sleep(time.Millisecond)
	}
}

// BenchmarkRoundTrip is one caller: a frame there, a goroutine, a frame back.
func BenchmarkRoundTrip(b *testing.B) {
	a, z := pair(b)
	back := make(chan struct{}, 1)
	_ = z.Handle(node.ProtocolUser, &echo{n: z, reply: true})
	_ = a.Handle(node.ProtocolUser, &echo{n: a, got: func([]byte) { back <- struct{}{} }})
	payload := make([]byte, 128)
	to := node.ID{Name: z.Name()}
	var times []time.Duration
	for b.Loop() {
		t := time.Now()
		if err := a.Send(context.Background(), to, node.ProtocolUser, 0, payload); err != nil {
			b.Fatal(err)
		}
		<-back
		times = append(times, time.Since(t))
	}
	report(b, times)
}

// BenchmarkRoundTrips64 is 64 callers.
func BenchmarkRoundTrips64(b *testing.B) {
	a, z := pair(b)
	const callers = 64
	var back [callers]chan struct{}
	for i := range back {
		back[i] = make(chan struct{}, 1)
	}
	_ = z.Handle(node.ProtocolUser, &echo{n: z, reply: true})
	_ = a.Handle(node.ProtocolUser, &echo{n: a, got: func(p []byte) { back[binary.LittleEndian.Uint64(p)] <- struct{}{} }})
	to := node.ID{Name: z.Name()}
	b.SetParallelism(callers / 2)
	var ids atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		id := ids.Add(1) - 1
		payload := make([]byte, 128)
		binary.LittleEndian.PutUint64(payload, uint64(id))
		for pb.Next() {
			if err := a.Send(context.Background(), to, node.ProtocolUser, 0, payload); err != nil {
				b.Error(err)
				return
			}
			<-back[id]
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	c := a.Counters()
	b.ReportMetric(float64(c["frames_out"])/float64(c["messages_out"]), "frames/msg")
}

// BenchmarkRawRequest is the same round trip with nats.go alone, over two brokers.
func BenchmarkRawRequest(b *testing.B) { raw(b, 1) }

// BenchmarkRawRequests64 is 64 callers of it.
func BenchmarkRawRequests64(b *testing.B) { raw(b, 64) }

func raw(b *testing.B, callers int) {
	start := func(name string, routes ...string) *broker.Broker {
		br, err := broker.Start(b.Context(), broker.Config{Mesh: "raw", ServerName: name, Plaintext: true, Cookie: []byte(cookie), Routes: routes})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { br.Close() })
		return br
	}
	one := start("one")
	two := start("two", one.Addr())
	nc1, _ := one.Connect(broker.App)
	nc2, _ := two.Connect(broker.App)
	defer nc1.Close()
	defer nc2.Close()
	_, _ = nc2.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) })
	for {
		if _, err := nc1.Request("echo", nil, time.Second); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	payload := make([]byte, 128)
	if callers == 1 {
		var times []time.Duration
		for b.Loop() {
			t := time.Now()
			if _, err := nc1.Request("echo", payload, time.Second); err != nil {
				b.Fatal(err)
			}
			times = append(times, time.Since(t))
		}
		report(b, times)
		return
	}
	b.SetParallelism(callers / 2)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := nc1.Request("echo", payload, time.Second); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

func report(b *testing.B, times []time.Duration) {
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1e3, "p50_us")
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1e3, "p99_us")
}
