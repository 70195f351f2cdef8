package node

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/queue"
)

// TestGaveUp: a route that this node gave up says nothing about its peer until it stands again, and then everything.
func TestGaveUp(t *testing.T) {
	at := time.Now()
	id := membership.ID{Name: "b@127.0.0.1", Incarnation: 7}
	name := serverName(ID(id), false)
	rows := []struct {
		name  string
		route broker.Route
		whole bool
		has   bool
	}{
		{"still_listed", broker.Route{ServerName: name, Since: at.Add(-time.Second)}, true, true},
		{"one_connection_is_back", broker.Route{ServerName: name, Since: at.Add(time.Second)}, false, true},
		{"repaired", broker.Route{ServerName: name, Since: at.Add(time.Second)}, true, false},
		{"of_another_node", broker.Route{ServerName: "c@127.0.0.1#1", Since: at.Add(time.Second)}, true, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			g := gaveUp{name: at}
			g.repaired(row.route, row.whole)
			if g.has(id) != row.has {
				t.Errorf("the note stands: %v, want %v", g.has(id), row.has)
			}
		})
	}
	for _, name := range serverNames(id) {
		if !(gaveUp{name: at}).has(id) {
			t.Errorf("not known under its name %s", name)
		}
	}
}

// A keeper that is busy with the broker does not hold up those who connect for longer than they will wait.
func TestWishWithinItsContext(t *testing.T) {
	k := &keeper{n: &Node{}, ctx: t.Context(), updates: queue.New[func()]()} // nobody runs it
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	k.wish(ctx, "b@127.0.0.1")
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Error("it has not waited")
	}
}
