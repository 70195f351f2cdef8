package rpc

import (
	"context"
	"errors"
	"iter"
	"maps"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kith-mesh/kith/node"
)

// brokenError is an error of which a nil pointer cannot say what it is.
type brokenError struct{ text string }

func (e *brokenError) Error() string { return e.text }

// TestErrorThatPanics: an error whose own methods panic is a panic of the function, wherever the caller is.
func TestErrorThatPanics(t *testing.T) {
	ctx := context.Background()
	for _, target := range []string{nameA, nameB} {
		bubble(t, target, func(t *testing.T) {
			a, b, _, _ := pair(t)
			s := map[string]*Server{nameA: a, nameB: b}[target]
			register(t, s, "broken", func(context.Context, int) (int, error) {
				var e *brokenError
				return 0, e
			})
			if err := RegisterStream(s, "stream", func(context.Context, int) iter.Seq2[int, error] {
				return func(yield func(int, error) bool) {
					var e *brokenError
					yield(0, e)
				}
			}); err != nil {
				t.Fatal(err)
			}
			var crash *RemotePanic
			if _, err := Call[int, int](ctx, a, target, "broken", 1); !errors.As(err, &crash) {
				t.Errorf("a call: %v", err)
			}
			crash = nil
			for _, err := range Stream[int, int](ctx, a, target, "stream", 1) {
				if !errors.As(err, &crash) {
					t.Errorf("a stream: %v", err)
				}
			}
			if got, err := Call[int, int](ctx, a, target, "kith.echo", 7); got != 7 || err != nil {
				t.Errorf("afterwards: %d, %v", got, err)
			}
		})
	}
}

// endless yields numbers until nobody wants more.
func endless(_ context.Context, _ int) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		for i := 0; yield(i, nil); i++ {
		}
	}
}

// TestStreamEndsWithItsContext: also where more has come than was read.
func TestStreamEndsWithItsContext(t *testing.T) {
	for _, target := range []string{nameA, nameB} {
		bubble(t, target, func(t *testing.T) {
			a, b, _, _ := pair(t)
			s := map[string]*Server{nameA: a, nameB: b}[target]
			if err := RegisterStream(s, "endless", endless); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			read := 0
			var last error
			for _, err := range Stream[int, int](ctx, a, target, "endless", 1) {
				if last = err; err != nil {
					break
				}
				if read++; read == 10 {
					cancel()
				}
				time.Sleep(time.Millisecond)
			}
			if read != 10 || !errors.Is(last, context.Canceled) {
				t.Errorf("%d items were read, then %v", read, last)
			}
			synctest.Wait()
			if n := s.Stats().Running; n != 0 {
				t.Errorf("%d functions run on", n)
			}
		})
	}
}

// TestStreamsHaveNoKey: a key that is given to a stream changes nothing.
func TestStreamsHaveNoKey(t *testing.T) {
	for _, target := range []string{nameA, nameB} {
		bubble(t, target, func(t *testing.T) {
			a, b, _, _ := pair(t)
			s := map[string]*Server{nameA: a, nameB: b}[target]
			if err := RegisterStream(s, "endless", endless); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				read := 0
				for _, err := range Stream[int, int](context.Background(), a, target, "endless", 1, IdempotencyKey("k")) {
					if err != nil {
						t.Fatal(err)
					}
					if read++; read == 3 {
						break
					}
				}
				synctest.Wait()
				if n := s.Stats().Running; read != 3 || n != 0 {
					t.Errorf("%d items were read, %d functions run on", read, n)
				}
			}
		})
	}
}

// TestStreamAfterAnEnd: the end of the session before, which is told while a stream connects, is not the stream's.
func TestStreamAfterAnEnd(t *testing.T) {
	bubble(t, "told_while_it_connects", func(t *testing.T) {
		a, b, na, _ := pair(t)
		if err := RegisterStream(b, "count", counting(new(atomic.Int64))); err != nil {
			t.Fatal(err)
		}
		thaw := na.freeze() // the end of the session is not told yet
		na.cut(nameB, node.ReasonConnectionClosed)
		na.connecting = func() {
			thaw()
			synctest.Wait() // now it is
		}
		read := 0
		for _, err := range Stream[int, int](context.Background(), a, nameB, "count", 5) {
			if err != nil {
				t.Fatal(err)
			}
			read++
		}
		if read != 5 {
			t.Errorf("%d items", read)
		}
	})
}

// TestAnswersAreBounded: who takes no answers has its further calls refused.
func TestAnswersAreBounded(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		_, b, _, _ := pair(t, WithLimit(10))
		b.answering.Store(9)
		if err := b.admit(nil); err != nil {
			t.Error(err)
		}
		b.release(nil)
		b.answering.Store(10)
		if err := b.admit(nil); !errors.Is(err, ErrOverload) || b.running.Load() != 0 {
			t.Errorf("%v, %d run", err, b.running.Load())
		}
		b.answering.Store(0)
	})
}

// A deadline that is farther away than a Duration can tell is too far, and not now (ERPC-11).
func TestDeadlineBeyondMeasure(t *testing.T) {
	bubble(t, "ERPC-11", func(t *testing.T) {
		a, _, _, _ := pair(t)
		ctx, cancel := context.WithDeadline(context.Background(), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
		defer cancel()
		for _, target := range []string{nameA, nameB} {
			if _, err := Call[int, int](ctx, a, target, "kith.echo", 1); !errors.Is(err, ErrBadArgument) {
				t.Errorf("%s: %v", target, err)
			}
		}
	})
}

// TestCollectionBehindOne: a request that waits for long does not keep those that came and went behind it.
func TestCollectionBehindOne(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a, _, _, _ := pair(t)
		ctx := context.Background()
		c := &Collection[int]{}
		add := func(label int, fn string, arg int) {
			f, err := a.Go(ctx, nameB, fn, arg)
			if err == nil {
				err = c.Add(f, label)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		add(0, "kith.sleep", 1000)
		for i := range 1000 {
			add(i+1, "kith.echo", 1)
			if r, err := c.Wait(ctx); err != nil || r.Label != i+1 {
				t.Fatal(r.Label, err)
			}
		}
		if n := len(c.order); n > 32 {
			t.Errorf("%d are kept where one waits", n)
		}
		if r, err := c.Wait(ctx); err != nil || r.Label != 0 {
			t.Errorf("%v, %v", r.Label, err)
		}
	})
}

// TestMulticastThroughMiddleware: no node delays another (ERPC-23), also where the node wraps its own calls.
func TestMulticastThroughMiddleware(t *testing.T) {
	bubble(t, "ERPC-23", func(t *testing.T) {
		m := newFakeMesh()
		through := func(next Handler) Handler { return next }
		na, a := m.add(t, nameA, WithCallMiddleware(through))
		nb, _ := m.add(t, nameB)
		_, c := m.add(t, nameC)
		for _, name := range []string{nameB, nameC} {
			if _, err := na.connect(name); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		var served atomic.Int64
		register(t, c, "f", func(context.Context, int) (int, error) { return int(served.Add(1)), nil })
		defer nb.freeze()()
		for na.Send(context.Background(), node.ID{Name: nameB}, node.ProtocolCalls, node.NoWait|node.NoConnect, []byte{0}) == nil {
		}
		began := time.Now()
		if err := a.Multicast(context.Background(), []string{nameB, nameC}, "f", 1); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		if served.Load() != 1 {
			t.Error("the other node was not reached")
		}
	})
}

// TestCloseGivesUpThere: a server that closes on a node that goes on tells the others that nobody waits any more.
func TestCloseGivesUpThere(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a, b, _, _ := pair(t)
		ended := make(chan error, 1)
		register(t, b, "wait", func(ctx context.Context, _ int) (int, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return 0, ctx.Err()
		})
		if err := RegisterStream(b, "endless", endless); err != nil {
			t.Fatal(err)
		}
		f, err := a.Go(context.Background(), nameB, "wait", 1, NoTimeout())
		if err != nil {
			t.Fatal(err)
		}
		next, stop := iter.Pull2(Stream[int, int](context.Background(), a, nameB, "endless", 1))
		defer stop()
		if _, err, _ := next(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := f.Wait(context.Background(), nil); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		synctest.Wait()
		if n := b.Stats().Running; n != 0 {
			t.Errorf("%d functions run on", n)
		}
	})
}

// TestUntypedValues: who asks for any sees the same types of this node as of another.
func TestUntypedValues(t *testing.T) {
	bubble(t, "", func(t *testing.T) {
		a, b, _, _ := pair(t)
		type point struct{ X, Y int }
		var seen []any
		for _, s := range []*Server{a, b} {
			register(t, s, "see", func(_ context.Context, v any) (any, error) {
				if m, ok := v.(map[any]any); ok {
					v = maps.Clone(m)
				}
				seen = append(seen, v)
				return v, nil
			})
		}
		var got []any
		for _, target := range []string{nameA, nameB} {
			for _, arg := range []any{7, point{1, 2}, []int{1}} {
				v, err := Call[any, any](context.Background(), a, target, "see", arg)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, v)
			}
		}
		if !reflect.DeepEqual(seen[:3], seen[3:]) || !reflect.DeepEqual(got[:3], got[3:]) {
			t.Errorf("the functions saw %#v, the callers %#v", seen, got)
		}
	})
}
