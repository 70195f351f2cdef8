package membership

import (
	"testing"

	"github.com/kith-mesh/kith/internal/wire"
)

func TestDrain(t *testing.T) {
	draining := func(name string, inc uint64, v wire.Verb, conn uint64) wire.Control {
		c := from(name, inc, v, conn)
		c.From.Draining = true
		return c
	}
	a := ID{"a@h", 7}
	t.Run("tells_all_peers_and_goes_on", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.greets("b@h", 8, 10)
		d.table.Tick(d.now)
		d.took()
		d.table.Drain(d.now)
		list := d.took()
		for _, to := range []ID{a, {"b@h", 8}} {
			if got := verbs(list, to); len(got) != 1 || got[0] != "tick" {
				t.Errorf("%s is told %v", to.Name, got)
			}
		}
		if !find(list, wire.Tick).From.Draining || d.phase(a) != Up {
			t.Error("it does not say so, or has gone")
		}
		d.hears(from("c@h", 9, wire.Hello, 11), false)
		d.hears(from("c@h", 9, wire.Hello, 11), true)
		if welcome := find(d.took(), wire.Welcome); !welcome.From.Draining {
			t.Errorf("a newcomer is told %+v", welcome)
		}
	})
	t.Run("is_reported_once", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.hears(draining("a@h", 7, wire.Tick, 9), false)
		d.hears(draining("a@h", 7, wire.Tick, 9), false)
		d.hears(from("a@h", 7, wire.Tick, 9), false)
		if len(d.draining) != 1 || d.draining[0] != 9 || !d.table.Status(d.now)[0].Draining {
			t.Errorf("%v", d.draining)
		}
	})
	t.Run("is_known_of_a_peer_that_comes", func(t *testing.T) {
		d := newDesk(t)
		d.hears(draining("a@h", 7, wire.Hello, 9), false)
		d.hears(from("a@h", 7, wire.Hello, 9), true) // said before it made up its mind
		if len(d.expected) != 1 || !d.expected[0].Peer.Draining || len(d.draining) != 0 {
			t.Errorf("%+v, %v", d.expected, d.draining)
		}
	})
}
