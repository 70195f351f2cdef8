package membership

import (
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// Drain says that this node is about to leave. Whatever it says from now on tells so, beginning with a tick to every peer;
// sessions stay, and new ones open.
func (t *Table) Drain(now time.Time) {
	t.cfg.Self.Draining = true
	for _, p := range t.peer {
		if p.phase == Up {
			t.tick(now, p)
		}
	}
}

// noteDraining takes over that a peer is about to leave. It does not take it back: who leaves has made up its mind.
func (t *Table) noteDraining(p *peer, from wire.Info) {
	if !from.Draining || p.draining {
		return
	}
	p.draining = true
	if p.phase >= Expecting {
		t.out.Draining(p.conn)
	}
}
