package node

import (
	"slices"
	"time"

	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// A route tells who is at its other end, because the broker's server is named for the node and its incarnation. A
// store's server is not: its name must outlive a restart. So a store announces itself on the control account, and so does
// a node that has no routes: to all, each tick, and in quick succession after its routes have changed.
const featureStore = "store"

// announceBurst is how often, and how fast at first, an announcement follows a change of routes: interest in it takes
// some milliseconds to spread.
const (
	announceBurst = 6
	announceFirst = 2 * time.Millisecond
)

// announcer says when to announce.
type announcer struct {
	lives map[string]uint64 // incarnations of stores, by name
	next  time.Time
	left  int // of the burst
	pause time.Duration
}

// changed starts a burst.
func (a *announcer) changed(now time.Time) {
	a.left, a.pause, a.next = announceBurst, announceFirst, now
}

// announce publishes an announcement if one is due, and returns the earlier of next and when the following one is.
func (c *controller) announce(now, next time.Time) time.Time {
	a := &c.announcer
	steady := c.n.isStore() || !c.n.cfg.Mode.Routed()
	if !steady && a.left == 0 {
		return next
	}
	if !now.Before(a.next) {
		c.publish(c.n.subjects.announce(), "", c.announcement().Encode())
		wait := c.n.Tick()
		if a.left > 0 {
			a.left--
			wait, a.pause = a.pause, 2*a.pause
		}
		a.next = now.Add(wait)
	}
	return sooner(a.next, next)
}

func sooner(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// learnStore notes the present life of a store. A new one ends the old.
func (c *controller) learnStore(now time.Time, from wire.Info) {
	if !slices.Contains(from.Features, featureStore) || from.Name == c.n.id.Name {
		return
	}
	old := c.announcer.lives[from.Name]
	if old == from.Incarnation {
		return
	}
	c.announcer.lives[from.Name] = from.Incarnation
	if old != 0 {
		c.table.Gone(now, membership.ID{Name: from.Name, Incarnation: old}, true)
	}
	c.dirty = true
}

// identify finds the life of the node whose server has a route. For a store that has not announced itself yet there is
// none.
func (c *controller) identify(server string) (id membership.ID, hidden, ok bool) {
	id, hidden, ok = parseServerName(server)
	if ok && id.Incarnation == 0 {
		id.Incarnation = c.announcer.lives[id.Name]
	}
	return id, hidden, ok && id.Incarnation != 0
}

// isStore says whether this node is one of the mesh's stores.
func (n *Node) isStore() bool { return n.cfg.Store[n.cfg.Name] != "" }

// serverOf is the name of the broker's server of the node that the info speaks of.
func serverOf(i wire.Info) string {
	if slices.Contains(i.Features, featureStore) {
		return i.Name
	}
	return serverName(ID{i.Name, i.Incarnation}, i.Hidden)
}
