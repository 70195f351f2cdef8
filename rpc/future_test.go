package rpc

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
)

// short is a context that ends soon.
func short(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestFuture(t *testing.T) {
	ctx := context.Background()
	start := func(t *testing.T, s *Server, node, fn string, arg any, opts ...CallOption) *Future {
		t.Helper()
		f, err := s.Go(ctx, node, fn, arg, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}

	bubble(t, "ERPC-25_errors_surface_later", func(t *testing.T) {
		a, _, na, _ := pair(t)
		na.mesh.addNode(t, "x@127.0.0.1").refuse = node.ErrRefused
		for _, target := range []string{nameC, "x@127.0.0.1"} {
			f := start(t, a, target, "kith.echo", 1)
			if err := f.Wait(ctx, nil); !errors.Is(err, ErrNoConnection) {
				t.Errorf("%v", err)
			}
		}
		for _, target := range []string{nameA, nameB} {
			f := start(t, a, target, "no.such", 1)
			if err := f.Receive(ctx, nil); !errors.Is(err, ErrNoFunction) {
				t.Errorf("%v", err)
			}
		}
	})

	bubble(t, "ERPC-26_any_order", func(t *testing.T) {
		a, _, na, _ := pair(t)
		na.mesh.add(t, nameC)
		var futures []*Future
		for i := range 30 {
			futures = append(futures, start(t, a, []string{nameA, nameB, nameC}[i%3], "kith.echo", i))
		}
		for i := 29; i >= 0; i-- {
			var n int
			if err := futures[i].Receive(ctx, &n); err != nil || n != i {
				t.Errorf("%d: %d, %v", i, n, err)
			}
		}
		if a.Stats().Pending != 0 {
			t.Error("something is left")
		}
	})

	bubble(t, "ERPC-27_receive_abandons", func(t *testing.T) {
		a, b, _, _ := pair(t)
		for _, s := range []*Server{a, b} {
			block := newBlocker()
			register(t, s, "block", block.call)
			f := start(t, a, s.ID().Name, "block", 1)
			<-block.started
			if err := f.Receive(short(t, 30*time.Millisecond), nil); !errors.Is(err, ErrTimeout) {
				t.Errorf("%v", err)
			}
			if err := <-block.ended; err == nil {
				t.Error("the function was not told")
			}
			if err := f.Receive(ctx, nil); !errors.Is(err, ErrTaken) || !errors.Is(err, ErrBadArgument) {
				t.Errorf("%v", err)
			}
			<-f.Done()
		}
	})

	bubble(t, "ERPC-28_wait_keeps", func(t *testing.T) {
		a, b, _, _ := pair(t)
		block := newBlocker()
		register(t, b, "block", block.call)
		f := start(t, a, nameB, "block", 7)
		for range 3 {
			if err := f.Wait(short(t, 10*time.Millisecond), nil); !errors.Is(err, ErrNoResponse) {
				t.Errorf("%v", err)
			}
		}
		close(block.let)
		if n, err := Await[int](ctx, f); err != nil || n != 7 {
			t.Errorf("%d, %v", n, err)
		}
	})

	bubble(t, "ERPC-29_RPC-11_check", func(t *testing.T) {
		a, b, _, _ := pair(t)
		block := newBlocker()
		register(t, b, "block", block.call)
		f := start(t, a, nameB, "block", 7)
		var n int
		if ok, err := f.Check(&n); ok || err != nil {
			t.Errorf("%v, %v", ok, err)
		}
		close(block.let)
		<-f.Done()
		if ok, err := f.Check(&n); !ok || err != nil || n != 7 {
			t.Errorf("%v, %v", ok, err)
		}
	})

	bubble(t, "ERPC-30_taken_once", func(t *testing.T) {
		a, _, _, _ := pair(t)
		f := start(t, a, nameB, "kith.echo", 7)
		var taken, refused atomic.Int32
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				switch err := f.Wait(ctx, nil); {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, ErrTaken):
					refused.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 1 || refused.Load() != 9 {
			t.Errorf("%d took it, %d were refused", taken.Load(), refused.Load())
		}
	})

	bubble(t, "ERPC-31_any_goroutine", func(t *testing.T) {
		a, _, _, _ := pair(t)
		f := start(t, a, nameB, "kith.echo", 7)
		errs := make(chan error)
		go func() { errs <- f.Wait(ctx, nil) }()
		if err := <-errs; err != nil {
			t.Error(err)
		}
	})

	bubble(t, "ERPC-32_validated_up_front", func(t *testing.T) {
		a, _, _, _ := pair(t)
		for _, err := range []error{
			second(a.Go(ctx, nameB, "no such", nil)), second(a.Go(ctx, nameB, "x", make(chan int))),
			second(a.Go(ctx, nameB, "x", nil, Timeout(-1))),
		} {
			if !errors.Is(err, ErrBadArgument) {
				t.Errorf("%v", err)
			}
		}
	})

	bubble(t, "deadline", func(t *testing.T) {
		a, b, _, _ := pair(t)
		block := newBlocker()
		register(t, b, "block", block.call)
		f := start(t, a, nameB, "block", 7, Timeout(30*time.Millisecond))
		if err := f.Wait(ctx, nil); !errors.Is(err, ErrTimeout) {
			t.Errorf("%v", err)
		}
		if err := <-block.ended; err == nil {
			t.Error("the function was not told")
		}
		f = start(t, a, nameB, "block", 7, Timeout(0))
		if err := f.Wait(ctx, nil); !errors.Is(err, ErrTimeout) {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "cancelled", func(t *testing.T) {
		a, b, _, _ := pair(t)
		block := newBlocker()
		register(t, b, "block", block.call)
		cctx, cancel := context.WithCancel(ctx)
		f, err := a.Go(cctx, nameB, "block", 7)
		if err != nil {
			t.Fatal(err)
		}
		<-block.started
		cancel()
		if err := f.Wait(ctx, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		<-block.ended
	})

	bubble(t, "lost", func(t *testing.T) {
		a, b, na, _ := pair(t)
		block := newBlocker()
		register(t, b, "block", block.call)
		f := start(t, a, nameB, "block", 7)
		<-block.started
		na.cut(nameB, node.ReasonDisconnect)
		if err := f.Wait(ctx, nil); !errors.Is(err, ErrNoConnection) {
			t.Errorf("%v", err)
		}
		close(block.let)
	})

	bubble(t, "abandoned_while_connecting", func(t *testing.T) {
		a, _, na, _ := pair(t)
		_, c := na.mesh.add(t, nameC)
		block := newBlocker()
		register(t, c, "block", block.call)
		hold := make(chan struct{})
		na.connecting = func() { <-hold }
		f := start(t, a, nameC, "block", 7)
		f.Abandon()
		if err := f.Wait(ctx, nil); !errors.Is(err, ErrTaken) {
			t.Errorf("%v", err)
		}
		close(hold)
		<-f.Done()
		select {
		case <-block.started:
			<-block.ended // cancelled at once
		case <-time.After(20 * time.Millisecond):
		}
	})

	bubble(t, "closed", func(t *testing.T) {
		a, b, _, _ := pair(t)
		block := newBlocker()
		register(t, b, "block", block.call)
		f := start(t, a, nameB, "block", 7)
		<-block.started
		a.Close()
		if err := f.Wait(ctx, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		if err := start(t, a, nameB, "block", 7).Wait(ctx, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("%v", err)
		}
		close(block.let)
	})
}

func second[T any](_ T, err error) error { return err }

func TestCollection(t *testing.T) {
	ctx := context.Background()
	setup := func(t *testing.T) (*Server, *Collection[string], func(label string, ms int) *Future) {
		a, _, _, _ := pair(t)
		c := &Collection[string]{}
		return a, c, func(label string, ms int) *Future {
			t.Helper()
			f, err := a.Go(ctx, nameB, "kith.sleep", ms)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Add(f, label); err != nil {
				t.Fatal(err)
			}
			return f
		}
	}

	bubble(t, "ERPC-33_a_labelled_set", func(t *testing.T) {
		_, c, add := setup(t)
		f := add("x", 1)
		add("y", 1)
		if err := c.Add(f, "again"); !errors.Is(err, ErrBadArgument) {
			t.Errorf("%v", err)
		}
		var labels []string
		for g, label := range c.Requests() {
			if label == "x" && g != f {
				t.Error("another request")
			}
			labels = append(labels, label)
		}
		if c.Len() != 2 || len(labels) != 2 || labels[0] != "x" || labels[1] != "y" {
			t.Errorf("%d: %v", c.Len(), labels)
		}
	})

	bubble(t, "ERPC-34_order_of_completion", func(t *testing.T) {
		_, c, add := setup(t)
		add("third", 120)
		add("first", 1)
		add("second", 60)
		for i, want := range []string{"first", "second", "third"} {
			r, err := c.Wait(ctx)
			if err != nil || r.Label != want || r.Err != nil || c.Len() != 2-i {
				t.Errorf("%+v, %v", r, err)
			}
			var ms int
			if err := r.Decode(&ms); err != nil {
				t.Error(err)
			}
		}
	})

	bubble(t, "ERPC-35_empty", func(t *testing.T) {
		_, c, add := setup(t)
		begin := time.Now()
		for range 2 {
			if _, err := c.Wait(ctx); !errors.Is(err, ErrNoRequest) {
				t.Errorf("%v", err)
			}
			if _, err := c.Receive(ctx); !errors.Is(err, ErrNoRequest) {
				t.Errorf("%v", err)
			}
			if _, ok, err := c.Check(); ok || !errors.Is(err, ErrNoRequest) {
				t.Errorf("%v", err)
			}
			add("x", 1)
			if _, err := c.Wait(ctx); err != nil {
				t.Error(err)
			}
		}
		if time.Since(begin) > 2*time.Millisecond {
			t.Error("it waited")
		}
	})

	bubble(t, "ERPC-37_wait_abandons_none", func(t *testing.T) {
		_, c, add := setup(t)
		add("x", 100)
		if _, err := c.Wait(short(t, 10*time.Millisecond)); !errors.Is(err, ErrNoResponse) {
			t.Errorf("%v", err)
		}
		if r, err := c.Wait(ctx); err != nil || r.Err != nil || r.Label != "x" {
			t.Errorf("%+v, %v", r, err)
		}
	})

	bubble(t, "ERPC-38_failures_are_responses", func(t *testing.T) {
		a, c, add := setup(t)
		add("good", 50)
		f, err := a.Go(ctx, nameB, "no.such", nil)
		if err != nil || c.Add(f, "bad") != nil {
			t.Fatal(err)
		}
		r, err := c.Wait(ctx)
		if err != nil || r.Label != "bad" || !errors.Is(r.Err, ErrNoFunction) || r.Future != f {
			t.Errorf("%+v, %v", r, err)
		}
		if r, err := c.Wait(ctx); err != nil || r.Label != "good" || r.Err != nil {
			t.Errorf("%+v, %v", r, err)
		}
	})

	bubble(t, "ERPC-39_one_deadline_for_many", func(t *testing.T) {
		_, c, add := setup(t)
		add("a", 1)
		add("b", 30)
		slow := add("c", 60_000)
		limit := short(t, 200*time.Millisecond)
		for _, want := range []string{"a", "b"} {
			if r, err := c.Receive(limit); err != nil || r.Label != want {
				t.Errorf("%+v, %v", r, err)
			}
		}
		if _, err := c.Receive(limit); !errors.Is(err, ErrTimeout) {
			t.Errorf("%v", err)
		}
		if c.Len() != 0 {
			t.Error("not abandoned")
		}
		if err := slow.Wait(ctx, nil); !errors.Is(err, ErrTaken) {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "ERPC-40_many_takers_all_learn_of_the_end", func(t *testing.T) {
		_, c, add := setup(t)
		for range 20 {
			add("x", 20)
		}
		var taken atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					if _, err := c.Wait(ctx); err != nil {
						if !errors.Is(err, ErrNoRequest) {
							t.Error(err)
						}
						return
					}
					taken.Add(1)
				}
			})
		}
		wg.Wait()
		if taken.Load() != 20 {
			t.Errorf("%d taken", taken.Load())
		}
	})
}
