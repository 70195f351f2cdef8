package rpc

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
)

type point struct{ X, Y int }

func TestERPC(t *testing.T) {
	ctx := context.Background()
	// both runs f for a call to another node and for one to the own.
	both := func(t *testing.T, f func(t *testing.T, s *Server, target string)) {
		bubble(t, "remote", func(t *testing.T) {
			a, b, _, _ := pair(t)
			registerCases(t, b)
			f(t, a, nameB)
		})
		bubble(t, "local", func(t *testing.T) {
			_, s := newFakeMesh().add(t, nameA)
			registerCases(t, s)
			f(t, s, nameA)
		})
	}

	t.Run("ERPC-01_value", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			got, err := Call[point, point](ctx, s, target, "case.swap", point{1, 2})
			if err != nil || got != (point{2, 1}) {
				t.Errorf("%v, %v", got, err)
			}
			var sum int
			if err := s.Call(ctx, target, "kith.sum", []int{1, 2, 3}, &sum); err != nil || sum != 6 {
				t.Errorf("%v, %v", sum, err)
			}
			if err := s.Call(ctx, target, "case.nothing", nil, nil); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("ERPC-02_error_of_the_function", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			err := s.Call(ctx, target, "case.fail", "out of stock", nil)
			var re *RemoteError
			if !errors.As(err, &re) || re.Kind != "stock" || re.Message != "out of stock" || re.Node != target || re.Func != "case.fail" {
				t.Errorf("%#v", err)
			}
		})
	})

	t.Run("ERPC-03_exit", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			err := s.Call(ctx, target, "case.exit", nil, nil)
			if ErrorKind(err) != KindExit {
				t.Errorf("%v", err)
			}
			if _, err := Call[string, string](ctx, s, target, "kith.echo", "still here"); err != nil {
				t.Error(err)
			}
		})
	})

	t.Run("ERPC-04_panic_with_stack", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			err := s.Call(ctx, target, "case.panic", nil, nil)
			var rp *RemotePanic
			if !errors.As(err, &rp) || rp.Node != target {
				t.Fatalf("%#v", err)
			}
			if !strings.Contains(rp.Value, "index out of range") {
				t.Errorf("value %q", rp.Value)
			}
			if !strings.Contains(rp.Stack, "rpc.panics ") || strings.Contains(rp.Stack, "runtime.") || strings.Contains(rp.Stack, "serving") {
				t.Errorf("stack\n%s", rp.Stack)
			}
		})
	})

	t.Run("ERPC-05_unknown_function", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			err := s.Call(ctx, target, "no.such", nil, nil)
			var ce *CallError
			if !errors.Is(err, ErrNoFunction) || !errors.As(err, &ce) || ce.Sent || ce.Node != target || ce.Func != "no.such" {
				t.Errorf("%#v", err)
			}
		})
	})

	bubble(t, "ERPC-07_unknown_node", func(t *testing.T) {
		a, _, na, _ := pair(t)
		err := a.Call(ctx, nameC, "kith.echo", nil, nil)
		var ce *CallError
		if !errors.Is(err, ErrNoConnection) || !errors.Is(err, node.ErrNoNode) || !errors.As(err, &ce) || ce.Sent {
			t.Errorf("%#v", err)
		}
		na.mesh.addNode(t, nameC).refuse = node.ErrRefused
		if err := a.Call(ctx, nameC, "kith.echo", nil, nil); !errors.Is(err, ErrNoConnection) || !errors.Is(err, node.ErrRefused) {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "ERPC-07_lost_during_the_call", func(t *testing.T) {
		a, b, na, nb := pair(t)
		block := newBlocker()
		register(t, b, "block", block.call)
		errs := make(chan error, 1)
		go func() { errs <- a.Call(ctx, nameB, "block", 1, nil) }()
		<-block.started
		begin := time.Now()
		na.cut(nameB, node.ReasonConnectionClosed)
		err := <-errs
		var ce *CallError
		if !errors.Is(err, ErrNoConnection) || !errors.As(err, &ce) || !ce.Sent || !strings.Contains(err.Error(), "connection_closed") {
			t.Errorf("%v", err)
		}
		if d := time.Since(begin); d > 0 {
			t.Errorf("only after %s", d)
		}
		close(block.let)
		_ = nb
		eventually(t, "the late answer is given up", func() bool { return b.Stats().LostAnswers == 1 })
	})

	t.Run("ERPC-08_timeout", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			begin := time.Now()
			err := s.Call(ctx, target, "case.stubborn", 300, nil, Timeout(50*time.Millisecond))
			if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%v", err)
			}
			if d := time.Since(begin); d != 50*time.Millisecond {
				t.Errorf("after %s", d)
			}
			eventually(t, "the answer is dropped", func() bool { return s.Stats().LateAnswers == 1 })
			if st := s.Stats(); st.Timeouts != 1 || st.Pending != 0 {
				t.Errorf("%+v", st)
			}
		})
	})

	bubble(t, "ERPC-08_default_timeout", func(t *testing.T) {
		a, b, _, _ := pair(t, WithDefaultTimeout(300*time.Millisecond))
		block := newBlocker()
		register(t, b, "block", block.call)
		begin := time.Now()
		err := a.Call(ctx, nameB, "block", 1, nil)
		if d := time.Since(begin); !errors.Is(err, ErrTimeout) || d < 300*time.Millisecond || d > 300*time.Millisecond+sweepInterval {
			t.Errorf("%v after %s", err, d)
		}
		if err := <-block.ended; err == nil {
			t.Error("the function's context has not ended")
		}
	})

	bubble(t, "ERPC-09_timeout_to_a_frozen_node", func(t *testing.T) {
		a, b, _, nb := pair(t)
		var ran atomic.Bool
		register(t, b, "mark", func(context.Context, int) (int, error) { ran.Store(true); return 0, nil })
		thaw := nb.freeze()
		defer thaw()
		begin := time.Now()
		err := a.Call(ctx, nameB, "mark", 1, nil, Timeout(500*time.Millisecond))
		if d := time.Since(begin); !errors.Is(err, ErrTimeout) || d < 500*time.Millisecond || d > 500*time.Millisecond+sweepInterval {
			t.Errorf("%v after %s", err, d)
		}
		if ran.Load() {
			t.Error("it ran")
		}
		thaw()
		eventually(t, "it runs after all", ran.Load)
	})

	bubble(t, "ERPC-09_timeout_behind_a_full_window", func(t *testing.T) {
		a, _, na, nb := pair(t)
		na.window = 3
		thaw := nb.freeze()
		defer thaw()
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				begin := time.Now()
				err := a.Call(ctx, nameB, "kith.echo", 1, nil, Timeout(300*time.Millisecond))
				if d := time.Since(begin); !errors.Is(err, ErrTimeout) || d > 300*time.Millisecond+sweepInterval {
					t.Errorf("%v after %s", err, d)
				}
			})
		}
		wg.Wait()
	})

	t.Run("ERPC-10_no_time_at_all", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			past, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Hour))
			defer cancel()
			for i, call := range []func() error{
				func() error { return s.Call(ctx, target, "case.count", nil, nil, Timeout(0)) },
				func() error { return s.Call(past, target, "case.count", nil, nil) },
			} {
				if err := call(); !errors.Is(err, ErrTimeout) {
					t.Errorf("%v", err)
				}
				eventually(t, "it runs all the same", func() bool {
					n, err := Call[any, int](ctx, s, target, "case.counted", nil)
					return err == nil && n == i+1
				})
			}
		})
	})

	bubble(t, "ERPC-11_timeout_out_of_range", func(t *testing.T) {
		a, _, na, _ := pair(t)
		before := na.count("request")
		far, cancel := context.WithTimeout(ctx, 100*365*24*time.Hour)
		defer cancel()
		for _, call := range []func() error{
			func() error { return a.Call(ctx, nameB, "kith.echo", nil, nil, Timeout(-1)) },
			func() error { return a.Call(ctx, nameB, "kith.echo", nil, nil, Timeout(4294967296*time.Millisecond)) },
			func() error { return a.Call(far, nameB, "kith.echo", nil, nil) },
		} {
			if err := call(); !errors.Is(err, ErrBadArgument) {
				t.Errorf("%v", err)
			}
		}
		if err := a.Call(ctx, nameB, "kith.echo", nil, nil, Timeout(4294967295*time.Millisecond)); err != nil {
			t.Error(err)
		}
		if n := na.count("request") - before; n != 1 {
			t.Errorf("%d requests were sent", n)
		}
	})

	t.Run("ERPC-12_bad_arguments", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			for _, name := range []string{"", ".", "a..b", "a.", ".a", "a b", "ä", "a*", strings.Repeat("x", 256)} {
				if err := s.Call(ctx, target, name, nil, nil); !errors.Is(err, ErrBadArgument) {
					t.Errorf("%q: %v", name, err)
				}
				if err := s.Register(name, HandlerFunc(echo)); !errors.Is(err, ErrBadArgument) {
					t.Errorf("%q: %v", name, err)
				}
			}
			if err := s.Call(ctx, target, "kith.echo", Raw{JSON, []byte("{")}, nil); !errors.Is(err, ErrBadArgument) {
				t.Errorf("%v", err)
			}
			if err := s.Call(ctx, target, "kith.echo", nil, nil, WithHeader("", "v")); !errors.Is(err, ErrBadArgument) {
				t.Errorf("%v", err)
			}
			// What only the function can judge comes back as its own error.
			err := s.Call(ctx, target, "case.swap", "not a point", nil)
			var re *RemoteError
			if !errors.As(err, &re) || re.Kind != KindBadArgument || errors.Is(err, ErrBadArgument) {
				t.Errorf("%#v", err)
			}
		})
		a, _, _, _ := pair(t)
		if err := a.Call(ctx, nameB, "kith.echo", make(chan int), nil); !errors.Is(err, ErrBadArgument) {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "ERPC-14_death_of_the_caller", func(t *testing.T) {
		_, b, na, _ := pair(t)
		a := serverOf(na)
		block := newBlocker()
		register(t, b, "block", block.call)
		go func() { _ = a.Call(ctx, nameB, "block", 1, nil, Timeout(time.Hour)) }()
		fctx := <-block.started
		na.close()
		eventually(t, "the session is down", func() bool { return serverDown(b, nameA) })
		if fctx.Err() != nil {
			t.Error("the function was cancelled")
		}
		close(block.let)
		if err := <-block.ended; err != nil {
			t.Error(err)
		}
	})

	bubble(t, "ERPC-14_death_of_a_caller_without_deadline", func(t *testing.T) {
		_, b, na, _ := pair(t)
		a := serverOf(na)
		block := newBlocker()
		register(t, b, "block", block.call)
		go func() { _ = a.Call(ctx, nameB, "block", 1, nil, NoTimeout()) }()
		<-block.started
		na.close()
		if err := <-block.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "ERPC-15_overload", func(t *testing.T) {
		a, b, _, _ := pair(t, WithLimit(3))
		block := newBlocker()
		register(t, b, "block", block.call)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if err := a.Call(ctx, nameB, "block", 1, nil); err != nil {
					t.Error(err)
				}
			})
		}
		for range 3 {
			<-block.started
		}
		err := a.Call(ctx, nameB, "kith.echo", nil, nil)
		var ce *CallError
		if !errors.Is(err, ErrOverload) || !errors.As(err, &ce) || ce.Sent {
			t.Errorf("%v", err)
		}
		if err := b.Call(ctx, "", "kith.echo", nil, nil); !errors.Is(err, ErrOverload) {
			t.Errorf("%v", err)
		}
		close(block.let)
		wg.Wait()
		if err := a.Call(ctx, nameB, "kith.echo", nil, nil); err != nil {
			t.Error(err)
		}
		if n := b.Stats().Overloads; n != 2 {
			t.Errorf("%d overloads", n)
		}
	})

	t.Run("ERPC-15_overload_of_one_function", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			block := caseBlocker(t)
			errs := make(chan error, 1)
			go func() { errs <- s.Call(ctx, target, "case.one", 1, nil) }()
			<-block.started
			if err := s.Call(ctx, target, "case.one", 1, nil); !errors.Is(err, ErrOverload) {
				t.Errorf("%v", err)
			}
			if err := s.Call(ctx, target, "kith.echo", nil, nil); err != nil {
				t.Error(err)
			}
			close(block.let)
			if err := <-errs; err != nil {
				t.Error(err)
			}
			if err := s.Call(ctx, target, "case.one", 1, nil); err != nil {
				t.Error(err)
			}
		})
	})

	bubble(t, "ERPC-16_peer_without_calls", func(t *testing.T) {
		a, _, na, _ := pair(t)
		na.mesh.addNode(t, nameC).silent = true
		for range 2 { // the first opens the connection
			err := a.Call(ctx, nameC, "kith.echo", nil, nil)
			if !errors.Is(err, ErrNotSupported) || ErrorKind(err) != KindNotSupported {
				t.Errorf("%v", err)
			}
		}
	})

	bubble(t, "ERPC-17_nested_calls", func(t *testing.T) {
		a, b, _, _ := pair(t)
		for _, s := range []*Server{a, b} {
			register(t, s, "bounce", func(ctx context.Context, n int) (int, error) {
				if n == 0 {
					return 0, Errorf("deep", "the bottom")
				}
				target := nameA
				if s == a {
					target = nameB
				}
				return Call[int, int](ctx, s, target, "bounce", n-1)
			})
		}
		err := a.Call(ctx, nameB, "bounce", 9, nil)
		depth := 0
		for want := nameB; err != nil; depth++ {
			var re *RemoteError
			if !errors.As(err, &re) || re.Kind != "deep" || re.Node != want {
				t.Fatalf("layer %d: %#v", depth, err)
			}
			if err = re.Cause; want == nameA {
				want = nameB
			} else {
				want = nameA
			}
		}
		if depth != 10 {
			t.Errorf("nested %d deep", depth)
		}
	})

	bubble(t, "ERPC-18_isolation_of_local_calls", func(t *testing.T) {
		_, s := newFakeMesh().add(t, nameA)
		register(t, s, "goid", func(context.Context, any) (string, error) { return goroutine(), nil })
		for _, opt := range []CallOption{{}, NoTimeout()} {
			if id, err := Call[any, string](ctx, s, "", "goid", nil, opt); err != nil || id == goroutine() {
				t.Errorf("%q, %v", id, err)
			}
		}
	})

	t.Run("ERPC-19_no_error_in_disguise", func(t *testing.T) {
		both(t, func(t *testing.T, s *Server, target string) {
			for _, e := range []error{ErrNoConnection, ErrTimeout, ErrNoFunction, ErrOverload, ErrClosed, ErrBadArgument} {
				err := s.Call(ctx, target, "case.sentinel", e.Error(), nil)
				var re *RemoteError
				if !errors.As(err, &re) || errors.Is(err, e) {
					t.Errorf("%v comes as %#v", e, err)
				}
			}
		})
	})

	bubble(t, "ERPC-20_other_versions", func(t *testing.T) {
		a, b, na, _ := pair(t)
		to := node.ID{Name: nameB}
		later := append((&frame{kind: frameHello, version: 2}).appendHead(nil), "what a later version adds"...)
		unknown := []byte{200, 1, 2, 3}
		request := (&frame{kind: frameRequest, id: 77, budget: -1, name: "kith.echo"}).appendHead(nil)
		request[1] |= flagUnknown
		errs := make(chan error, 1)
		c := newCall()
		c.id, c.node, c.fn = 77, nameB, "kith.echo"
		a.pending.add(77, nameB, 0, c)
		c.handTo(func(out outcome) { errs <- out.err })
		for _, data := range [][]byte{later, unknown, request} {
			if err := na.Send(ctx, to, node.ProtocolCalls, 0, data); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-errs; !errors.Is(err, ErrNotSupported) {
			t.Errorf("a request of a later version: %v", err)
		}
		if err := a.Call(ctx, nameB, "kith.echo", 1, nil); err != nil || b.Stats().BadFrames != 2 {
			t.Errorf("%v, %d bad frames", err, b.Stats().BadFrames)
		}
	})

	bubble(t, "ERPC-51_no_timeout_ends_at_nodedown", func(t *testing.T) {
		a, _, na, nb := pair(t)
		thaw := nb.freeze()
		defer thaw()
		errs := make(chan error, 1)
		go func() { errs <- a.Call(ctx, nameB, "kith.echo", 1, nil, NoTimeout()) }()
		eventually(t, "the call is on its way", func() bool { return na.count("request") == 1 })
		na.cut(nameB, node.ReasonTickTimeout)
		if err := <-errs; !errors.Is(err, ErrNoConnection) || !strings.Contains(err.Error(), "net_tick_timeout") {
			t.Errorf("%v", err)
		}
	})
}
