package talk

import (
	"fmt"
	"testing"
	"time"
)

// TestGoneNodes: nodes that went are forgotten in time, also by a chat that nobody asks for a View, as a plain one.
func TestGoneNodes(t *testing.T) {
	now := epoch
	talk := New(Config{Self: User{ID: id("me"), Nick: "me", Since: since(0)}, Room: "lobby", Now: now})
	talk.Handle(now, Opened{})
	for i := range 1000 {
		node := fmt.Sprint("n", i)
		talk.Handle(now, NodeUp{node})
		talk.Handle(now, NodeDown{node, "shutdown"})
		now = now.Add(time.Second)
	}
	if got, most := len(talk.goneNodes), int(goneLasts/time.Second); got > most {
		t.Errorf("%d nodes are remembered, at most %d went within %v", got, most, goneLasts)
	}
	if got := len(talk.View().Nodes); got < 2 {
		t.Errorf("%d nodes are shown", got)
	}
}
