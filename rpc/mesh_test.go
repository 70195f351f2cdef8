package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/rpc"
)

// startMesh starts real nodes, each with a server, and waits until all see each other.
func startMesh(t testing.TB, plain bool, names ...string) []*rpc.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	dir := t.TempDir()
	nodes := make([]*node.Node, len(names))
	servers := make([]*rpc.Server, len(names))
	for i, name := range names {
		n, err := node.Start(ctx, node.Config{
			Name: name, Mesh: t.Name(), Cookie: []byte("a cookie of the tests"), DataDir: dir, Plaintext: plain,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Close() })
		nodes[i] = n
		if servers[i], err = rpc.New(n); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		if err := n.WaitPeers(ctx, len(names)-1); err != nil {
			t.Fatal(err)
		}
	}
	return servers
}
