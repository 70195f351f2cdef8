package node

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kith-mesh/kith/internal/freeport"
)

// TestStoreNodes runs three store nodes and two ordinary ones: all find each other although a store's server does not
// tell its incarnation, a bucket is reached from an ordinary node, and a store that restarts is a new incarnation.
func TestStoreNodes(t *testing.T) {
	dir := t.TempDir()
	stores := map[string]string{}
	addrs, err := freeport.Addrs(3)
	if err != nil {
		t.Fatal(err)
	}
	for i, addr := range addrs {
		stores[fmt.Sprintf("s%d@127.0.0.1", i)] = addr
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	start := func(name string) *Node {
		n, err := Start(ctx, Config{Name: name, Cookie: []byte("a cookie for the store nodes"), DataDir: dir, Store: stores})
		if err != nil {
			t.Fatal(name, err)
		}
		t.Cleanup(func() { n.Close() })
		return n
	}
	nodes := map[string]*Node{}
	for name := range stores {
		nodes[name] = start(name)
	}
	for _, name := range []string{"a@127.0.0.1", "z@127.0.0.1"} {
		nodes[name] = start(name)
	}
	for name, n := range nodes {
		if err := n.WaitPeers(ctx, len(nodes)-1); err != nil {
			t.Fatal(name, err)
		}
	}
	a := nodes["a@127.0.0.1"]
	if got := fmt.Sprint(a.StoreNodes()); got != "[s0@127.0.0.1 s1@127.0.0.1 s2@127.0.0.1]" {
		t.Errorf("stores are %s", got)
	}
	if err := a.WaitStores(ctx); err != nil {
		t.Fatal(err)
	}
	nc, js, err := a.Stores()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for {
		if _, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "b", Replicas: 3}); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	before, _ := a.Peer("s1@127.0.0.1")
	m := a.Monitor()
	defer m.Close()
	nodes["s1@127.0.0.1"].Close()
	if e := <-m.Events(); e.Up || e.Peer != before || e.Reason != ReasonConnectionClosed {
		t.Fatalf("got %+v", e)
	}
	start("s1@127.0.0.1")
	if e := <-m.Events(); !e.Up || e.Peer.Name != before.Name || e.Peer.Incarnation == before.Incarnation {
		t.Fatalf("got %+v", e)
	}
}
