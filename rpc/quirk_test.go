package rpc

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestQuirks is where Erlang's calls surprise, and these do not.
func TestQuirks(t *testing.T) {
	ctx := context.Background()

	bubble(t, "RPC-01_what_is_thrown_is_no_value", func(t *testing.T) {
		a, b, _, _ := pair(t)
		register(t, b, "case.throw", func(context.Context, any) (string, error) { panic("thrown") })
		got, err := Call[any, string](ctx, a, nameB, "case.throw", nil)
		var rp *RemotePanic
		if got != "" || !errors.As(err, &rp) || rp.Value != "thrown" {
			t.Errorf("%q, %v", got, err)
		}
	})

	bubble(t, "RPC-02_values_that_look_like_errors_are_values", func(t *testing.T) {
		a, b, _, _ := pair(t)
		looks := []string{"badrpc", "nodedown", ErrNoConnection.Error()}
		register(t, b, "case.looks", func(context.Context, any) ([]string, error) { return looks, nil })
		if got, err := Call[any, []string](ctx, a, nameB, "case.looks", nil); err != nil || len(got) != 3 || got[2] != looks[2] {
			t.Errorf("%q, %v", got, err)
		}
	})

	bubble(t, "RPC-07_no_call_waits_for_another", func(t *testing.T) {
		a, b, _, _ := pair(t)
		registerCases(t, b)
		slow, err := a.Go(ctx, nameB, "case.stubborn", 60_000, Timeout(2*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := a.Call(ctx, nameB, "kith.echo", 1, nil); err != nil || time.Since(began) > time.Second {
			t.Errorf("%v behind a call that takes a minute: %v", time.Since(began), err)
		}
		if err := slow.Receive(ctx, nil); err != nil {
			t.Error(err)
		}
	})

	bubble(t, "RPC-10_no_function_is_not_no_node", func(t *testing.T) {
		a, _, _, _ := pair(t)
		if err := a.Call(ctx, nameB, "no.such", nil, nil); !errors.Is(err, ErrNoFunction) || errors.Is(err, ErrNoConnection) {
			t.Error(err)
		}
		if err := a.Call(ctx, nameC, "no.such", nil, nil); !errors.Is(err, ErrNoConnection) || errors.Is(err, ErrNoFunction) {
			t.Error(err)
		}
	})
}
