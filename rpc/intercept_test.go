package rpc

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
)

// tracing adds a header at the caller's end, as a tracer would.
func tracing(next Handler) Handler {
	return HandlerFunc(func(ctx context.Context, r *Request) (any, error) {
		if r.Header == nil {
			r.Header = Header{}
		}
		r.Header["trace"] = "t-1"
		return next.Handle(ctx, r)
	})
}

func TestMiddleware(t *testing.T) {
	ctx := context.Background()
	var mu sync.Mutex
	var order []string
	noted := func() []string {
		mu.Lock()
		defer mu.Unlock()
		list := order
		order = nil
		return list
	}
	note := func(name string) Middleware {
		return func(next Handler) Handler {
			return HandlerFunc(func(ctx context.Context, r *Request) (any, error) {
				mu.Lock()
				order = append(order, name+" "+r.Func)
				mu.Unlock()
				return next.Handle(ctx, r)
			})
		}
	}
	m := newFakeMesh()
	_, a := m.add(t, nameA, WithCallMiddleware(note("out1"), tracing, note("out2")))
	_, b := m.add(t, nameB, WithMiddleware(note("in1"), note("in2")))
	err := b.Register("who", HandlerFunc(func(_ context.Context, r *Request) (any, error) {
		return r.Header["trace"] + " " + r.Header["own"] + " " + r.From.Name + " " + r.Node, nil
	}), Wrapped(note("in3")))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Call[any, string](ctx, a, nameB, "who", nil, WithHeader("own", "o"))
	if err != nil || got != "t-1 o a@127.0.0.1 b@127.0.0.1" {
		t.Errorf("%q, %v", got, err)
	}
	if want := []string{"out1 who", "out2 who", "in1 who", "in2 who", "in3 who"}; !reflect.DeepEqual(noted(), want) {
		t.Errorf("want %v", want)
	}

	t.Run("all_kinds_of_calls_pass", func(t *testing.T) {
		for name, call := range map[string]func() error{
			"cast": func() error { return a.Cast(ctx, nameB, "kith.echo", 1) },
			"local": func() error {
				s, err := Call[string, string](ctx, a, "", "kith.echo", "x")
				if s != "x" {
					t.Errorf("%q", s)
				}
				return err
			},
			"future": func() error {
				f, err := a.Go(ctx, nameB, "kith.echo", 1)
				if err != nil {
					return err
				}
				n, err := Await[int](ctx, f)
				if n != 1 {
					t.Errorf("%d", n)
				}
				return err
			},
			"stream": func() error {
				for n, err := range Stream[int, int](ctx, a, nameB, "kith.echo", 1) {
					if n != 1 || err != nil {
						return err
					}
				}
				return nil
			},
		} {
			if err := call(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if order := noted(); !slices.Contains(order, "out1 kith.echo") || !slices.Contains(order, "out2 kith.echo") {
				t.Errorf("%s: %v", name, order)
			}
			eventually(t, "it has run", func() bool { return a.Stats().Running+b.Stats().Running == 0 })
		}
	})
}

func TestMiddlewareMayRefuse(t *testing.T) {
	m := newFakeMesh()
	_, a := m.add(t, nameA)
	_, b := m.add(t, nameB, WithMiddleware(Authorize(func(_ context.Context, r *Request) error {
		if r.Header["token"] != "secret" {
			return Errorf("unauthenticated", "no token")
		}
		return nil
	})))
	_ = b
	if err := a.Call(context.Background(), nameB, "kith.echo", 1, nil); ErrorKind(err) != "unauthenticated" {
		t.Errorf("%v", err)
	}
	if err := a.Call(context.Background(), nameB, "kith.echo", 1, nil, WithHeader("token", "secret")); err != nil {
		t.Error(err)
	}
}

func TestMiddlewareMistakes(t *testing.T) {
	m := newFakeMesh()
	replace := false
	_, a := m.add(t, nameA, WithCallMiddleware(func(next Handler) Handler {
		return HandlerFunc(func(ctx context.Context, r *Request) (any, error) {
			if replace {
				return next.Handle(ctx, &Request{})
			}
			r.Header = Header{"": "x"}
			return next.Handle(ctx, r)
		})
	}))
	for range 2 {
		if err := a.Call(context.Background(), "", "kith.echo", 1, nil); !errors.Is(err, ErrBadArgument) {
			t.Errorf("%v", err)
		}
		replace = true
	}
}

func TestLogging(t *testing.T) {
	var out bytes.Buffer
	m := newFakeMesh()
	_, a := m.add(t, nameA, WithCallMiddleware(Logging(zerolog.New(&out))))
	_ = a.Call(context.Background(), "", "kith.echo", 1, nil)
	_ = a.Call(context.Background(), "", "no.such", 1, nil)
	for _, want := range []string{`"level":"debug"`, `"func":"kith.echo"`, `"level":"warn"`, `"kind":"no_function"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out.String())
		}
	}
}
