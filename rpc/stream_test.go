package rpc

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
)

// counting yields 0 to n-1 and counts how many it has yielded.
func counting(yielded *atomic.Int64) func(context.Context, int) iter.Seq2[int, error] {
	return func(_ context.Context, n int) iter.Seq2[int, error] {
		return func(yield func(int, error) bool) {
			for i := range n {
				yielded.Add(1)
				if !yield(i, nil) {
					return
				}
			}
		}
	}
}

func TestStream(t *testing.T) {
	ctx := context.Background()
	both := func(t *testing.T, f func(t *testing.T, a, s *Server)) {
		for _, target := range []string{nameA, nameB} {
			bubble(t, target, func(t *testing.T) {
				a, b, _, _ := pair(t)
				f(t, a, map[string]*Server{nameA: a, nameB: b}[target])
			})
		}
	}
	serveStream := func(t *testing.T, s *Server, name string, f func(context.Context, int) iter.Seq2[int, error]) {
		t.Helper()
		if err := RegisterStream(s, name, f); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("all_in_order", func(t *testing.T) {
		both(t, func(t *testing.T, a, s *Server) {
			serveStream(t, s, "count", counting(new(atomic.Int64)))
			want := 0
			for i, err := range Stream[int, int](ctx, a, s.ID().Name, "count", 1000) {
				if err != nil || i != want {
					t.Fatalf("%d, %v, want %d", i, err, want)
				}
				want++
			}
			if want != 1000 || a.Stats().Pending != 0 {
				t.Errorf("%d items, %+v", want, a.Stats())
			}
		})
	})

	t.Run("backpressure", func(t *testing.T) {
		both(t, func(t *testing.T, a, s *Server) {
			var yielded atomic.Int64
			serveStream(t, s, "count", counting(&yielded))
			read := int64(0)
			for _, err := range Stream[int, int](ctx, a, s.ID().Name, "count", 500, Credit(10)) {
				if err != nil {
					t.Fatal(err)
				}
				read++
				if read%100 == 0 { // a slow reader, now and then
					time.Sleep(5 * time.Millisecond)
				}
				// What was credited, and one that waits to be sent.
				if ahead := yielded.Load() - read; ahead > 11 {
					t.Fatalf("the function is %d items ahead", ahead)
				}
			}
			if read != 500 {
				t.Errorf("%d items", read)
			}
		})
	})

	t.Run("leaving_ends_the_function", func(t *testing.T) {
		both(t, func(t *testing.T, a, s *Server) {
			ended := make(chan error, 1)
			serveStream(t, s, "forever", func(fctx context.Context, _ int) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) {
					for i := 0; yield(i, nil); i++ {
					}
					ended <- fctx.Err()
				}
			})
			for i, err := range Stream[int, int](ctx, a, s.ID().Name, "forever", 0, Credit(4)) {
				if err != nil || i == 20 {
					break
				}
			}
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			eventually(t, "nothing is left", func() bool { return s.Stats().Running == 0 && a.Stats().Pending == 0 })
		})
	})

	t.Run("an_error_is_the_last", func(t *testing.T) {
		both(t, func(t *testing.T, a, s *Server) {
			serveStream(t, s, "fails", func(context.Context, int) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) {
					_ = yield(1, nil) && yield(0, Errorf("mid", "halfway")) && yield(2, nil)
				}
			})
			serveStream(t, s, "panics", func(context.Context, int) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) {
					yield(1, nil)
					panic("stop")
				}
			})
			for fn, kind := range map[string]string{"fails": "mid", "panics": KindPanic, "no.such": KindNoFunction} {
				items, last := 0, error(nil)
				for _, err := range Stream[int, int](ctx, a, s.ID().Name, fn, 0) {
					if last != nil {
						t.Error("something came behind the error")
					}
					if last = err; err == nil {
						items++
					}
				}
				if ErrorKind(last) != kind || items > 1 || kind != KindNoFunction && items != 1 {
					t.Errorf("%s: %d items, %v", fn, items, last)
				}
			}
		})
	})

	bubble(t, "lost", func(t *testing.T) {
		a, b, na, _ := pair(t)
		ended := make(chan error, 1)
		serveStream(t, b, "quiet", func(fctx context.Context, _ int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				yield(1, nil)
				<-fctx.Done()
				ended <- fctx.Err()
			}
		})
		var last error
		for _, err := range Stream[int, int](ctx, a, nameB, "quiet", 0) {
			if last = err; err == nil {
				na.cut(nameB, node.ReasonConnectionClosed)
			}
		}
		if !errors.Is(last, ErrNoConnection) {
			t.Errorf("%v", last)
		}
		<-ended
	})

	bubble(t, "deadlines", func(t *testing.T) {
		a, b, _, nb := pair(t, WithDefaultTimeout(100*time.Millisecond))
		serveStream(t, b, "slow", func(fctx context.Context, ms int) iter.Seq2[int, error] {
			return func(yield func(int, error) bool) {
				for i := 0; ; i++ {
					select {
					case <-time.After(time.Duration(ms) * time.Millisecond):
						if !yield(i, nil) {
							return
						}
					case <-fctx.Done():
						return
					}
				}
			}
		})
		// A stream that is open outlives the default timeout, however quiet it is.
		for _, err := range Stream[int, int](ctx, a, nameB, "slow", 250) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		// The deadline of the context is the deadline of the whole.
		var last error
		for _, err := range Stream[int, int](short(t, 100*time.Millisecond), a, nameB, "slow", 1) {
			last = err
		}
		if !errors.Is(last, ErrTimeout) {
			t.Errorf("%v", last)
		}
		// One that never opens does not.
		thaw := nb.freeze()
		begin := time.Now()
		for _, err := range Stream[int, int](ctx, a, nameB, "slow", 1) {
			last = err
		}
		if d := time.Since(begin); !errors.Is(last, ErrTimeout) || d < 100*time.Millisecond || d > time.Second {
			t.Errorf("%v after %s", last, d)
		}
		thaw()
	})

	t.Run("single_values_and_calls", func(t *testing.T) {
		both(t, func(t *testing.T, a, s *Server) {
			serveStream(t, s, "count", counting(new(atomic.Int64)))
			n := 0
			for i, err := range Stream[int, int](ctx, a, s.ID().Name, "kith.echo", 42) {
				if n++; err != nil || i != 42 {
					t.Errorf("%d, %v", i, err)
				}
			}
			if err := a.Call(ctx, s.ID().Name, "count", 3, nil); n != 1 || ErrorKind(err) != KindStream {
				t.Errorf("%d, %v", n, err)
			}
		})
	})

	bubble(t, "mistakes_and_the_end", func(t *testing.T) {
		a, _, _, _ := pair(t)
		for _, err := range a.Stream(ctx, nameB, "no such", nil) {
			if !errors.Is(err, ErrBadArgument) {
				t.Errorf("%v", err)
			}
		}
		for _, err := range a.Stream(ctx, nameC, "x", nil) {
			if !errors.Is(err, ErrNoConnection) {
				t.Errorf("%v", err)
			}
		}
		a.Close()
		for _, err := range a.Stream(ctx, nameB, "x", nil) {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%v", err)
			}
		}
	})
}

// TestStreamCreditIsKept has a peer send more than it was allowed.
func TestStreamCreditIsKept(t *testing.T) {
	st := newClientStream(&outgoing{node: nameB, fn: "f", opts: callOptions{credit: 2}}, 1)
	for i, want := range []bool{true, true, false} {
		if got := st.push(outcome{}); got != want {
			t.Errorf("item %d: %v", i, got)
		}
	}
	for range 2 {
		if _, more, _ := st.next(); !more {
			t.Error("what was within the credit is lost")
		}
	}
	if out, more, _ := st.next(); more || !errors.Is(out.err, errBadFrame) {
		t.Errorf("%v", out.err)
	}
}
