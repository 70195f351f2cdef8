package node_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func drains(at *node.Node, name string) bool {
	for _, p := range at.Report().Peers {
		if p.ID.Name == name {
			return p.Draining
		}
	}
	return false
}

func TestDrain(t *testing.T) {
	dir := t.TempDir()
	inDir := func(c *node.Config) { c.DataDir = dir }
	a, b := pair(t, inDir)
	c := start(t, "c", inDir)
	connected(t, a, c)
	atB := record(t, b)
	record(t, a)
	if a.IsDraining() || b.Draining(a.ID()) || drains(b, a.Name()) {
		t.Fatal("it drains before it was told to")
	}
	if err := a.Drain(within(t)); err != nil {
		t.Fatal(err)
	}
	// When Drain returns, those who were there know.
	for _, n := range []*node.Node{b, c} {
		if !n.Draining(a.ID()) || !drains(n, a.Name()) || n.Draining(n.ID()) {
			t.Errorf("%s does not know", n.Name())
		}
	}
	if !a.IsDraining() || !a.Draining(a.ID()) || !a.Report().Draining {
		t.Error("it does not know of itself")
	}
	if err := a.Drain(within(t)); err != nil {
		t.Errorf("the second time: %v", err)
	}
	entries, err := discovery.List(dir, "test")
	if err != nil || len(entries) != 3 || !entries[0].Draining || entries[1].Draining {
		t.Errorf("the data dir says %+v, %v", entries, err)
	}
	// It is still a member: it sends, and takes newcomers in.
	send(t, a, b, "still here")
	meshtest.Eventually(t, "a message", func() bool { return len(atB.frames(a.Name())) == 1 })
	d := start(t, "d", joining(b))
	connected(t, a, d)
	if !d.Draining(a.ID()) {
		t.Error("a newcomer does not know")
	}
	if err := a.Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := a.Drain(within(t)); !errors.Is(err, node.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	again := start(t, "a", inDir)
	connected(t, again, b)
	if b.Draining(again.ID()) || drains(b, "a@127.0.0.1") {
		t.Error("the next life drains too")
	}
}

// TestShutdownSaysSoFirst leaves without a call of Drain: peers hear of it before the end.
func TestShutdownSaysSoFirst(t *testing.T) {
	var atB logs
	a := start(t, "a")
	b := start(t, "b", joining(a), atB.into)
	connected(t, a, b)
	if err := a.Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	meshtest.Eventually(t, "nodedown", func() bool { return strings.Contains(atB.String(), "nodedown") })
	text := atB.String()
	if said := strings.Index(text, "the peer is draining"); said < 0 || said > strings.Index(text, "nodedown") {
		t.Errorf("it did not say so before:\n%s", text)
	}
}

// TestDrainWaitsForNobodyElse drains beside a peer that is frozen: the others know, and the caller is told.
func TestDrainWaitsForNobodyElse(t *testing.T) {
	a, _, frozen, _ := withChild(t, 2*time.Second)
	b := start(t, "c", joining(a), ticking(2*time.Second))
	connected(t, a, b)
	frozen.signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := a.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("beside a frozen peer: %v", err)
	}
	if !b.Draining(a.ID()) {
		t.Error("the other does not know")
	}
}
