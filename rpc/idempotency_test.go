package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestIdempotencyKey(t *testing.T) {
	ctx := context.Background()
	setup := func(t *testing.T, opts ...Option) (*Server, *Server, *atomic.Int64, chan struct{}) {
		a, b, _, _ := pair(t, opts...)
		var ran atomic.Int64
		let := make(chan struct{})
		register(t, b, "pay", func(ctx context.Context, n int) (int, error) {
			ran.Add(1)
			select {
			case <-let:
				return n, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		})
		register(t, b, "refuse", func(context.Context, any) (int, error) { ran.Add(1); return 0, Errorf("funds", "none") })
		return a, b, &ran, let
	}

	bubble(t, "once_for_many_callers", func(t *testing.T) {
		a, b, ran, let := setup(t)
		var wg sync.WaitGroup
		for i := range 20 {
			s, target := a, nameB
			if i%2 == 0 {
				s, target = b, ""
			}
			wg.Go(func() {
				n, err := Call[int, int](ctx, s, target, "pay", 5, IdempotencyKey("k"))
				if err != nil || n != 5 {
					t.Errorf("%d, %v", n, err)
				}
			})
		}
		eventually(t, "all wait", func() bool { return b.Stats().Running == 20 })
		close(let)
		wg.Wait()
		if n, err := Call[int, int](ctx, a, nameB, "pay", 7, IdempotencyKey("k")); err != nil || n != 5 {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := Call[int, int](ctx, a, nameB, "pay", 7, IdempotencyKey("other")); err != nil || n != 7 {
			t.Errorf("%d, %v", n, err)
		}
		if ran.Load() != 2 || b.Stats().Replayed != 20 || b.Stats().Running != 0 {
			t.Errorf("ran %d times, %+v", ran.Load(), b.Stats())
		}
	})

	bubble(t, "a_retry_after_a_timeout_gets_the_answer", func(t *testing.T) {
		a, _, ran, let := setup(t)
		err := a.Call(ctx, nameB, "pay", 5, nil, IdempotencyKey("k"), Timeout(50*time.Millisecond))
		if !errors.Is(err, ErrTimeout) {
			t.Fatal(err)
		}
		cctx, cancel := context.WithCancel(ctx)
		go func() { time.Sleep(20 * time.Millisecond); cancel() }()
		if err := a.Call(cctx, nameB, "pay", 5, nil, IdempotencyKey("k")); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		close(let)
		if n, err := Call[int, int](ctx, a, nameB, "pay", 5, IdempotencyKey("k")); err != nil || n != 5 || ran.Load() != 1 {
			t.Errorf("%d, %v, ran %d times", n, err, ran.Load())
		}
	})

	bubble(t, "errors_are_answers", func(t *testing.T) {
		a, _, ran, _ := setup(t)
		for range 3 {
			if err := a.Call(ctx, nameB, "refuse", nil, nil, IdempotencyKey("k")); ErrorKind(err) != "funds" {
				t.Errorf("%v", err)
			}
		}
		if ran.Load() != 1 {
			t.Errorf("ran %d times", ran.Load())
		}
	})

	bubble(t, "json_after_cbor", func(t *testing.T) {
		a, b, _, _ := setup(t)
		register(t, b, "point", func(context.Context, any) (point, error) { return point{1, 2}, nil })
		if _, err := Call[any, point](ctx, a, nameB, "point", nil, IdempotencyKey("k")); err != nil {
			t.Fatal(err)
		}
		j, err := a.CallJSON(ctx, nameB, "point", nil, IdempotencyKey("k"))
		if err != nil || string(j) != `{"X":1,"Y":2}` {
			t.Errorf("%s, %v", j, err)
		}
		if _, err := b.CallJSON(ctx, "", "point", json.RawMessage("1"), IdempotencyKey("k2")); err != nil {
			t.Fatal(err)
		}
		if p, err := Call[any, point](ctx, b, "", "point", nil, IdempotencyKey("k2")); err != nil || p != (point{1, 2}) {
			t.Errorf("%v, %v", p, err)
		}
	})

	bubble(t, "full_is_said", func(t *testing.T) {
		a, _, ran, _ := setup(t, WithWindow(time.Hour, 2, 0))
		for _, k := range []string{"1", "2"} {
			_ = a.Call(ctx, nameB, "refuse", nil, nil, IdempotencyKey(k))
		}
		if err := a.Call(ctx, nameB, "refuse", nil, nil, IdempotencyKey("3")); !errors.Is(err, ErrOverload) {
			t.Errorf("%v", err)
		}
		if err := a.Call(ctx, nameB, "refuse", nil, nil, IdempotencyKey("1")); ErrorKind(err) != "funds" || ran.Load() != 2 {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "after_the_window", func(t *testing.T) {
		a, _, ran, _ := setup(t, WithWindow(time.Millisecond, 0, 0))
		eventually(t, "it runs again", func() bool {
			_ = a.Call(ctx, nameB, "refuse", nil, nil, IdempotencyKey("k"))
			return ran.Load() >= 2
		})
	})

	bubble(t, "bad_keys", func(t *testing.T) {
		a, _, _, _ := setup(t)
		for _, k := range []string{"", strings.Repeat("k", 256)} {
			if err := a.Call(ctx, nameB, "refuse", nil, nil, IdempotencyKey(k)); !errors.Is(err, ErrBadArgument) {
				t.Errorf("%v", err)
			}
		}
	})

	bubble(t, "unknown_function", func(t *testing.T) {
		a, _, _, _ := setup(t)
		if err := a.Call(ctx, nameB, "no.such", nil, nil, IdempotencyKey("k")); !errors.Is(err, ErrNoFunction) {
			t.Errorf("%v", err)
		}
	})

	bubble(t, "within_the_limit_of_the_function", func(t *testing.T) {
		a, b, _, _ := setup(t)
		block := newBlocker()
		register(t, b, "one", block.call, MaxConcurrent(1))
		errs := make(chan error, 2)
		for range 2 {
			go func() { errs <- a.Call(ctx, nameB, "one", 1, nil, IdempotencyKey("k"), Timeout(time.Minute)) }()
			eventually(t, "it was taken", func() bool { return b.Stats().Running > 0 })
		}
		<-block.started
		close(block.let)
		for range 2 {
			if err := <-errs; err != nil && !errors.Is(err, ErrOverload) {
				t.Error(err)
			}
		}
		if f := b.functions.lookupString("one"); f.running.Load() != 0 {
			t.Errorf("%d still count", f.running.Load())
		}
	})
}
