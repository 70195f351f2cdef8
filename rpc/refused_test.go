package rpc

import (
	"context"
	"errors"
	"testing"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// TestRefusedByRule calls what a rule of the other node refuses, in every way: nothing runs, the caller is told, and it is
// counted. What other rules give, and other callers, are not touched.
func TestRefusedByRule(t *testing.T) {
	rule, err := node.ParseRule("refuse n2@* call admin.*")
	if err != nil {
		t.Fatal(err)
	}
	m := meshtest.New(t, 3, meshtest.Configure(func(c *node.Config) {
		if c.Name == "n1@127.0.0.1" {
			c.Rules = []node.Rule{rule}
		}
	}))
	var calls []*Server
	for _, n := range m.Nodes() {
		s, err := New(n)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, s)
	}
	ran := make(chan string, 10)
	for _, name := range []string{"admin.wipe", "greet"} {
		must := Register(calls[0], name, func(_ context.Context, who string) (string, error) {
			ran <- who
			return "done", nil
		})
		if must != nil {
			t.Fatal(must)
		}
	}
	ctx, at := t.Context(), m.Node(1).Name()
	_, err = Call[string, string](ctx, calls[1], at, "admin.wipe", "by two")
	var ce *CallError
	if !errors.Is(err, ErrRefused) || !errors.As(err, &ce) || ce.Sent || ErrorKind(err) != KindRefused {
		t.Errorf("a call: %v", err)
	}
	if _, err := Call[string, string](ctx, calls[1], at, "admin.none", ""); !errors.Is(err, ErrRefused) {
		t.Errorf("a function that is none: %v", err)
	}
	if err := calls[1].Cast(ctx, at, "admin.wipe", "by a cast of two"); err != nil {
		t.Errorf("a cast: %v", err)
	}
	for _, err := range Stream[string, string](ctx, calls[1], at, "admin.wipe", "by a stream of two") {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("a stream: %v", err)
		}
	}
	for _, caller := range []int{0, 2} {
		if _, err := Call[string, string](ctx, calls[caller], at, "admin.wipe", "by another"); err != nil {
			t.Errorf("node %d: %v", caller+1, err)
		}
	}
	if _, err := Call[string, string](ctx, calls[1], at, "greet", "by another"); err != nil {
		t.Errorf("another function: %v", err)
	}
	for range 3 {
		if who := <-ran; who != "by another" {
			t.Errorf("it ran %s", who)
		}
	}
	if st := calls[0].Stats(); st.Refused != 4 || st.FailedCasts != 1 || len(ran) != 0 {
		t.Errorf("%d refused, %d failed casts, %d more ran", st.Refused, st.FailedCasts, len(ran))
	}
}
