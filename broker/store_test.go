package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kith-mesh/kith/internal/freeport"
)

func storeConfig(t *testing.T, name string, nodes map[string]string, dir string) Config {
	return Config{
		Mesh: "stores", ServerName: name, Cookie: []byte("a cookie for the stores"), Listen: nodes[name],
		Store: &StoreConfig{Name: name, Nodes: nodes, Dir: dir},
	}
}

func TestStoreConfigRefuses(t *testing.T) {
	three := map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1:2", "c": "127.0.0.1:3"}
	without := func(name string) map[string]string {
		m := map[string]string{}
		for k, v := range three {
			if k != name {
				m[k] = v
			}
		}
		return m
	}
	rows := []struct {
		name   string
		config StoreConfig
		want   string
	}{
		{"two", StoreConfig{Name: "a", Nodes: without("c"), Dir: "x"}, "3 or 5"},
		{"one", StoreConfig{Name: "a", Nodes: map[string]string{"a": "127.0.0.1:1"}, Dir: "x"}, "3 or 5"},
		{"not-listed", StoreConfig{Name: "z", Nodes: three, Dir: "x"}, "not in the list"},
		{"no-dir", StoreConfig{Name: "a", Nodes: three}, "no directory"},
		{"any-port", StoreConfig{Name: "a", Nodes: map[string]string{"a": "127.0.0.1:0", "b": "127.0.0.1:2", "c": "127.0.0.1:3"}, Dir: "x"}, "fixed address"},
		{"same-addr", StoreConfig{Name: "a", Nodes: map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1:1", "c": "127.0.0.1:3"}, Dir: "x"}, "two store nodes"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			err := row.config.check(row.config.Name)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Fatalf("got %v, want one about %q", err, row.want)
			}
		})
	}
}

// TestStores runs three stores and two ordinary servers: a bucket on three replicas is written and read from a server
// without JetStream, a store is killed, and writing goes on. The two ordinary ones start together and never take part.
func TestStores(t *testing.T) {
	addrs, err := freeport.Addrs(3)
	if err != nil {
		t.Fatal(err)
	}
	nodes := map[string]string{"s1": addrs[0], "s2": addrs[1], "s3": addrs[2]}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	stores := map[string]*Broker{}
	for name := range nodes {
		b, err := Start(ctx, storeConfig(t, name, nodes, t.TempDir()))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		stores[name] = b
	}
	var plain []*Broker
	for i := range 2 {
		b, err := Start(ctx, Config{Mesh: "stores", ServerName: fmt.Sprintf("p%d", i), Cookie: []byte("a cookie for the stores"), Routes: addrs[:1], LeafListen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		plain = append(plain, b)
	}
	began := time.Now()
	if err := plain[1].WaitStore(ctx); err != nil {
		t.Fatal(err)
	}
	t.Log("stores answer after", time.Since(began))
	nc, err := plain[1].Connect(Store)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv := createBucket(t, ctx, js)
	t.Log("bucket after", time.Since(began))
	if _, err := kv.Create(ctx, "k", []byte("one")); err != nil {
		t.Fatal(err)
	}
	// A reload of the routes leaves the stores' data and service alone.
	for _, b := range append(plain, slices.Collect(maps.Values(stores))...) {
		if err := b.SetRoutes([]string{addrs[0], plain[0].Addr()}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kv.Put(ctx, "other", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := plain[1].WaitStore(ctx); err != nil {
		t.Fatal("after a reload:", err)
	}
	fromALeaf(t, ctx, plain[0].LeafAddr())
	for name, b := range stores {
		if b.server.JetStreamIsStreamLeader(string(Store), "KV_names") {
			t.Log("closing the leader", name)
			b.Close()
			break
		}
	}
	gone := time.Now()
	for {
		put, cancel := context.WithTimeout(ctx, time.Second)
		_, err := kv.Put(put, "k", []byte("two"))
		cancel()
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("no write after the leader went:", err)
		}
	}
	t.Log("writes again after", time.Since(gone))
	if e, err := kv.Get(ctx, "k"); err != nil || string(e.Value()) != "two" {
		t.Fatal("read", e, err)
	}
}

// fromALeaf uses the stores from a leaf's server.
func fromALeaf(t *testing.T, ctx context.Context, hub string) {
	t.Helper()
	leaf, err := Start(ctx, Config{Mode: Leaf, Servers: []string{hub}, Mesh: "stores", ServerName: "leaf", Cookie: []byte("a cookie for the stores")})
	if err != nil {
		t.Fatal(err)
	}
	defer leaf.Close()
	if err := leaf.WaitStore(ctx); err != nil {
		t.Fatal("from a leaf:", err)
	}
	nc, err := leaf.Connect(Store)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.KeyValue(ctx, "names")
	if err != nil {
		t.Fatal("from a leaf:", err)
	}
	watch, err := kv.Watch(ctx, "leaf")
	if err != nil {
		t.Fatal("from a leaf:", err)
	}
	defer func() { _ = watch.Stop() }()
	if _, err := kv.Create(ctx, "leaf", []byte("l")); err != nil {
		t.Fatal("from a leaf:", err)
	}
	for {
		select {
		case e := <-watch.Updates():
			if e != nil && string(e.Value()) == "l" {
				return
			}
		case <-ctx.Done():
			t.Fatal("nothing is seen from a leaf")
		}
	}
}

// createBucket makes the bucket once the stores can place it.
func createBucket(t *testing.T, ctx context.Context, js jetstream.JetStream) jetstream.KeyValue {
	t.Helper()
	for {
		kv, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "names", Replicas: 3})
		if err == nil {
			return kv
		}
		if ctx.Err() != nil {
			t.Fatal("no bucket:", err)
		}
		select {
		case <-time.After(storePoll):
		case <-ctx.Done():
		}
	}
}
