package node

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestStoreNodes runs three store nodes and two ordinary ones: all find each other although a store's server does not
// tell its incarnation, a bucket is reached from an ordinary node, and a store that restarts is a new incarnation.
func TestStoreNodes(t *testing.T) {
	dir := t.TempDir()
	stores := map[string]string{}
	var free []net.Listener
	for i := range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		free = append(free, l)
		stores[fmt.Sprintf("s%d@127.0.0.1", i)] = l.Addr().String()
	}
	for _, l := range free {
		l.Close()
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
