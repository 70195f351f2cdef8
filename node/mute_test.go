package node

import (
	"context"
	"net"
	"testing"
	"time"
)

// TestShutdown_beside_a_mute_connection: somebody who connects and says nothing holds up the server's changes of routes, and
// with it the keeper, but not the end of the node.
func TestShutdown_beside_a_mute_connection(t *testing.T) {
	secret := []byte("0123456789abcdef")
	a, err := Start(t.Context(), Config{Name: "a@127.0.0.1", Cookie: secret})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Start(t.Context(), Config{Name: "b@127.0.0.1", Cookie: secret})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	mute, err := net.Dial("tcp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	if _, err := a.broker.Probe(t.Context(), a.Addr()); err != nil { // so that the one before was accepted too
		t.Fatal(err)
	}
	a.Knows(b.Addr())
	for deadline := time.Now().Add(10 * time.Second); ; {
		answered := make(chan struct{})
		a.keeper.do(func() { close(answered) })
		select {
		case <-answered:
			if time.Now().After(deadline) {
				t.Fatal("the keeper is not held up")
			}
			continue
		case <-time.After(300 * time.Millisecond): // some ten of its rounds
		}
		break
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	began := time.Now()
	_ = a.Shutdown(ctx)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
}
