package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// TestDeadNameServer: while a name server keeps everybody waiting, the nodes of this host find each other all the same.
func TestDeadNameServer(t *testing.T) {
	usual, end := net.DefaultResolver, make(chan struct{})
	t.Cleanup(func() { // behind the end of the node; a question outlives who asked it
		net.DefaultResolver = usual
		close(end)
	})
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case <-ctx.Done():
		case <-end:
		}
		return nil, errors.New("no answer")
	}}
	dir, discover := t.TempDir(), "local,dns:mesh.example:7000"
	startNode(t, dir, "b", "--discover", discover)
	began := time.Now()
	if stdout, stderr := kithIn(t, dir, 0, "ping", "b", "--discover", discover); stdout != "pong\n" {
		t.Errorf("got %q, %q", stdout, stderr)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("took %v: it waited for the name server, which takes 5 s", took)
	}
}
