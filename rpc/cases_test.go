package rpc

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// eventually waits until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

func register[Req, Resp any](t testing.TB, s *Server, name string, f func(context.Context, Req) (Resp, error), opts ...RegisterOption) {
	t.Helper()
	if err := Register(s, name, f, opts...); err != nil {
		t.Fatal(err)
	}
}

// blocker is a function that runs until it is let go or its context ends.
type blocker struct {
	started chan context.Context
	let     chan struct{}
	ended   chan error // what the context ended with, nil if let go
}

func newBlocker() *blocker {
	return &blocker{make(chan context.Context, 1000), make(chan struct{}), make(chan error, 1000)}
}

func (b *blocker) call(ctx context.Context, n int) (int, error) {
	b.started <- ctx
	select {
	case <-b.let:
		b.ended <- nil
		return n, nil
	case <-ctx.Done():
		b.ended <- ctx.Err()
		return 0, ctx.Err()
	}
}

// The functions of TestERPC.

func registerCases(t *testing.T, s *Server) {
	var count atomic.Int64
	register(t, s, "case.swap", func(_ context.Context, p point) (point, error) { return point{p.Y, p.X}, nil })
	register(t, s, "case.nothing", func(context.Context, any) (any, error) { return nil, nil })
	register(t, s, "case.fail", func(_ context.Context, m string) (any, error) { return nil, Errorf("stock", "%s", m) })
	register(t, s, "case.exit", func(context.Context, any) (any, error) { runtime.Goexit(); return nil, nil })
	register(t, s, "case.panic", func(context.Context, any) (any, error) { panics(nil); return nil, nil })
	register(t, s, "case.count", func(context.Context, any) (any, error) { count.Add(1); return nil, nil })
	register(t, s, "case.counted", func(context.Context, any) (int, error) { return int(count.Load()), nil })
	register(t, s, "case.stubborn", func(_ context.Context, ms int) (int, error) {
		time.Sleep(time.Duration(ms) * time.Millisecond)
		return ms, nil
	})
	register(t, s, "case.sentinel", func(_ context.Context, text string) (any, error) {
		for _, e := range []error{ErrNoConnection, ErrTimeout, ErrNoFunction, ErrOverload, ErrClosed, ErrBadArgument} {
			if e.Error() == text {
				return nil, fmt.Errorf("%w, says the function", e)
			}
		}
		return nil, nil
	})
	register(t, s, "case.one", func(ctx context.Context, n int) (int, error) {
		b, _ := blockers.Load(t.Name())
		return b.(*blocker).call(ctx, n)
	}, MaxConcurrent(1))
}

// blockers are the blockers of case.one, by test.
var blockers sync.Map

func caseBlocker(t *testing.T) *blocker {
	b := newBlocker()
	blockers.Store(t.Name(), b)
	return b
}

func panics(list []int) int { return list[len(list)] }

func goroutine() string {
	buf := make([]byte, 32)
	return strings.Fields(string(buf[:runtime.Stack(buf, false)]))[1]
}

func serverOf(n *fakeNode) *Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.handler.(sessions).s
}

// serverDown says whether the dispatcher of s has handled the end of the session with the node.
func serverDown(s *Server, name string) bool {
	n := s.link.(*fakeNode)
	if n.session(node.ID{Name: name}) != nil {
		return false
	}
	done := make(chan struct{})
	n.push(func(node.Handler) { close(done) })
	select {
	case <-done:
		return true
	case <-time.After(patience):
		return false
	}
}
