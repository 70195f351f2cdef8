package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/rpc"
)

// mesh is real nodes, each with a server.
type mesh struct {
	nodes   []*node.Node
	servers []*rpc.Server
}

func (m *mesh) name(i int) string { return m.nodes[i].Name() }

// startMesh starts n nodes that see each other.
func startMesh(t testing.TB, n int, cfg node.Config) *mesh {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	m := &mesh{}
	cfg.Mesh, cfg.Cookie, cfg.DataDir = "rpc", []byte("a cookie of the tests"), t.TempDir()
	for i := range n {
		cfg.Name = fmt.Sprintf("n%d@127.0.0.1", i)
		nd, err := node.Start(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nd.Close() })
		s, err := rpc.New(nd)
		if err != nil {
			t.Fatal(err)
		}
		m.nodes, m.servers = append(m.nodes, nd), append(m.servers, s)
	}
	for _, nd := range m.nodes {
		if err := nd.WaitPeers(ctx, n-1); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// TestMesh runs the main paths over real nodes; the rules themselves are tested on the mesh without a broker.
func TestMesh(t *testing.T) {
	m := startMesh(t, 3, node.Config{MaxMessage: 4 << 20})
	a, ctx := m.servers[0], context.Background()

	t.Run("ERPC-01_many_callers_and_sizes", func(t *testing.T) {
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				for k := range 50 {
					in := bytes.Repeat([]byte{byte(i)}, 1<<(k%12))
					out, err := rpc.Call[[]byte, []byte](ctx, m.servers[i%3], m.name((i+k)%3), "kith.echo", in)
					if err != nil || !bytes.Equal(in, out) {
						t.Errorf("%d bytes: %d, %v", len(in), len(out), err)
						return
					}
				}
			})
		}
		wg.Wait()
	})

	t.Run("large_payloads", func(t *testing.T) {
		for _, size := range []int{64 << 10, 64<<10 + 1, 128 << 10, 1 << 20, 3 << 20} {
			in := bytes.Repeat([]byte("x"), size)
			out, err := rpc.Call[[]byte, []byte](ctx, a, m.name(1), "kith.echo", in)
			if err != nil || !bytes.Equal(in, out) {
				t.Errorf("%d bytes: %d, %v", size, len(out), err)
			}
		}
		err := a.Call(ctx, m.name(1), "kith.echo", make([]byte, 5<<20), nil)
		if !errors.Is(err, node.ErrTooLarge) {
			t.Errorf("%v", err)
		}
		err = rpc.Register(m.servers[1], "large", func(context.Context, any) ([]byte, error) { return make([]byte, 5<<20), nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Call(ctx, m.name(1), "large", nil, nil); rpc.ErrorKind(err) != rpc.KindTooLarge {
			t.Errorf("%v", err)
		}
	})

	t.Run("ERPC-07_unknown_node", func(t *testing.T) {
		begin := time.Now()
		err := a.Call(ctx, "nobody@127.0.0.1", "kith.echo", 1, nil)
		if !errors.Is(err, rpc.ErrNoConnection) || !errors.Is(err, node.ErrNoNode) || time.Since(begin) > 4*time.Second {
			t.Errorf("%v after %s", err, time.Since(begin))
		}
		if err := a.Call(ctx, "not a name", "kith.echo", 1, nil); !errors.Is(err, rpc.ErrBadArgument) {
			t.Errorf("%v", err)
		}
	})

	t.Run("ERPC-41_multicall", func(t *testing.T) {
		replies, err := a.Multicall(ctx, []string{m.name(2), "nobody@127.0.0.1", m.name(0), m.name(1)}, "kith.sum", []int{1, 2})
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range replies {
			var n int
			if err := r.Decode(&n); i != 1 && (err != nil || n != 3) || i == 1 && !errors.Is(err, rpc.ErrNoConnection) {
				t.Errorf("%s: %d, %v", r.Node, n, err)
			}
		}
	})

	t.Run("stream_and_cast", func(t *testing.T) {
		got := make(chan int, 1)
		err := rpc.Register(m.servers[1], "take", func(_ context.Context, n int) (any, error) { got <- n; return nil, nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Cast(ctx, m.name(1), "take", 7); err != nil || <-got != 7 {
			t.Error(err)
		}
		err = rpc.RegisterStream(m.servers[1], "count", func(_ context.Context, n int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for i := 0; i < n && yield(i, nil); i++ {
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for i, err := range rpc.Stream[int, int](ctx, a, m.name(1), "count", 5000) {
			if err != nil || i != want {
				t.Fatalf("%d, %v", i, err)
			}
			want++
		}
		if want != 5000 {
			t.Errorf("%d items", want)
		}
	})

	t.Run("cancellation", func(t *testing.T) {
		ended := make(chan error, 1)
		started := make(chan struct{})
		err := rpc.Register(m.servers[1], "wait", func(ctx context.Context, _ any) (any, error) {
			close(started)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		cctx, cancel := context.WithCancel(ctx)
		go func() { <-started; cancel() }()
		if err := a.Call(cctx, m.name(1), "wait", nil, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})

	t.Run("ERPC-16_node_without_calls", func(t *testing.T) {
		n, err := node.Start(ctx, node.Config{
			Name: "mute@127.0.0.1", Mesh: "rpc", Cookie: []byte("a cookie of the tests"), Join: []string{m.nodes[0].Addr()},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		if err := a.Call(ctx, "mute@127.0.0.1", "kith.echo", 1, nil); !errors.Is(err, rpc.ErrNotSupported) {
			t.Errorf("%v", err)
		}
	})

	t.Run("ERPC-07_node_lost_during_the_call", func(t *testing.T) {
		errs := make(chan error, 2)
		for range 2 {
			go func() { errs <- a.Call(ctx, m.name(2), "kith.sleep", 60_000, nil, rpc.NoTimeout()) }()
		}
		meshtest.Eventually(t, "both calls run", func() bool { return m.servers[2].Stats().Running == 2 })
		begin := time.Now()
		_ = m.nodes[2].Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, rpc.ErrNoConnection) {
				t.Errorf("%v", err)
			}
		}
		if d := time.Since(begin); d > 3*time.Second {
			t.Errorf("only after %s", d)
		}
		if err := a.Call(ctx, m.name(2), "kith.echo", 1, nil); !errors.Is(err, rpc.ErrNoConnection) {
			t.Errorf("%v", err)
		}
		if err := m.servers[2].Call(ctx, m.name(0), "kith.echo", 1, nil); !errors.Is(err, rpc.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}
