package rpc_test

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/rpc"
)

const payloadSize = 128

// BenchmarkRemote compares calls to another node with requests of nats.go over two embedded servers with one route, in
// the same process. Both use plain text.
func BenchmarkRemote(b *testing.B) {
	payload := make([]byte, payloadSize)
	ctx := context.Background()
	m := startMesh(b, 2, node.Config{Plaintext: true})
	kith := func() error {
		_, err := rpc.Call[[]byte, []byte](ctx, m.servers[0], m.name(1), "kith.echo", payload)
		return err
	}
	conn := rawNATS(b)
	raw := func() error {
		_, err := conn.Request("echo", payload, 5*time.Second)
		return err
	}
	for _, who := range []struct {
		name string
		call func() error
	}{{"kith", kith}, {"nats", raw}} {
		b.Run("one_caller/"+who.name, func(b *testing.B) { oneCaller(b, who.call) })
		b.Run("64_callers/"+who.name, func(b *testing.B) { manyCallers(b, 64, who.call) })
	}
}

func oneCaller(b *testing.B, call func() error) {
	for range 1000 {
		if err := call(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		if err := call(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1000, "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1000, "p99-µs")
}

func manyCallers(b *testing.B, callers int, call func() error) {
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ResetTimer()
	begin := time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/time.Since(begin).Seconds(), "calls/s")
}

// rawNATS starts two clustered servers, answers "echo" on one, and returns a connection to the other.
func rawNATS(b *testing.B) *nats.Conn {
	b.Helper()
	start := func(routes string) *server.Server {
		o := &server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, ServerName: "n" + routes}
		o.Cluster.Name, o.Cluster.Host, o.Cluster.Port = "raw", "127.0.0.1", -1
		if routes != "" {
			o.Routes = server.RoutesFromStr(routes)
		}
		s, err := server.NewServer(o)
		if err != nil {
			b.Fatal(err)
		}
		s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			b.Fatal("the server is not ready")
		}
		b.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		return s
	}
	first := start("")
	second := start("nats://" + first.ClusterAddr().String())
	connect := func(s *server.Server) *nats.Conn {
		c, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(c.Close)
		return c
	}
	here, there := connect(first), connect(second)
	if _, err := there.Subscribe("echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		b.Fatal(err)
	}
	if err := there.Flush(); err != nil {
		b.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		if _, err := here.Request("echo", nil, 5*time.Second); err == nil {
			return here
		} else if time.Now().After(end) {
			b.Fatal(err)
		}
	}
}
