package node

import (
	"context"
	"testing"
	"time"

	"github.com/kith-mesh/kith/discovery"
)

// TestKeeper_two_strategies_of_one_name: a strategy that has the name of another, as static beside Join, is waited for
// and kept apart like any other. It used to keep a node from ever being ready before its patience ended.
func TestKeeper_two_strategies_of_one_name(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	secret := []byte("0123456789abcdef")
	a, err := Start(ctx, Config{Name: "a@127.0.0.1", Cookie: secret})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Start(ctx, Config{
		Name: "b@127.0.0.1", Cookie: secret, Join: []string{a.Addr()},
		Discovery: []discovery.Strategy{discovery.Static(), discovery.Static(a.Addr())},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	b.keeper.do(func() { done <- b.keeper.first })
	if !<-done {
		t.Error("a strategy is still waited for")
	}
	if _, ok := b.Peer("a@127.0.0.1"); !ok {
		t.Error("not connected")
	}
}
