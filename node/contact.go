package node

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/discovery"
)

// contact is one address at which a node may listen.
type contact struct {
	addr    string
	sources map[string]bool
	node    string // name of the node there, if it is known
	server  string // name of the broker's server there, which holds the incarnation too
	seen    time.Time
	since   time.Time // no route since then; zero while there is one

	probing bool
	known   bool // a probe was answered, or refused
	tries   int  // failed probes in a row
	next    time.Time
	good    time.Time // when it last answered; zero if it does not
	urgent  bool      // somebody waits for the node
	dialAt  time.Time // until then, dialling it may still succeed
	logged  string    // the last refusal that was logged
}

const (
	// gossipGrace is how long gossip has before the keeper asks and dials an address itself. Each known address adds
	// gossipShare: a mesh of many nodes takes longer to form, and dialling into that slows it down.
	gossipGrace = time.Second
	gossipShare = 50 * time.Millisecond
	// seeds is how many addresses a node without any route asks at once; further ones after seedPause.
	seeds     = 3
	seedPause = 100 * time.Millisecond
	// courtesy is how long the lower of two nodes without routes waits for the higher to dial it: two that dial each
	// other at the same moment lose both connections.
	courtesy = 40 * time.Millisecond
	// goodFor is how long an answer counts.
	goodFor  = 2 * time.Second
	maxPause = 15 * time.Second
	// dialPatience is how long a dialled address has to become a route.
	dialPatience = 2 * time.Second
	// dialPause is the least time between two changes of what the broker dials. Each reloads the broker's options, which
	// keeps new connections waiting until those that are shaking hands are done.
	dialPause = 500 * time.Millisecond
	// dialsAtOnce bounds the addresses that one such change adds.
	dialsAtOnce = 2
	// sourcePeer marks an address learned from the node there. It is forgotten when nobody answers any more.
	sourcePeer  = "peer"
	forgetAfter = 6
	// giveUpAfter is how many probes in a row must fail before the broker is told to dial an address no more.
	giveUpAfter = 3
)

// learn takes over what a strategy knows of the node.
func (c *contact) learn(from discovery.Candidate) {
	if from.Name == "" {
		return
	}
	c.node = from.Name
	if from.Incarnation != 0 {
		c.server = serverName(ID{from.Name, from.Incarnation}, from.Hidden)
	}
}

// pause is the time until the next probe after failures: 100 ms doubling up to 15 s, jittered.
func (c *contact) pause() time.Duration {
	d := min(100*time.Millisecond<<min(c.tries, 10), maxPause)
	return d/2 + rand.N(d)
}

// sort drops contacts that nobody names any more, notes who has a route, and returns those without, in an order on which
// nodes that start together agree: so they choose the same seed, and gossip reaches all.
func (k *keeper) sort(now time.Time, routed map[string]bool) (unlinked []*contact) {
	for addr, c := range k.contacts {
		switch {
		case routed[c.server]:
			c.since, c.urgent, c.tries = time.Time{}, false, 0
		case len(c.sources) == 0:
			delete(k.contacts, addr)
		default:
			if c.since.IsZero() {
				c.since = now
			}
			unlinked = append(unlinked, c)
		}
	}
	slices.SortFunc(unlinked, func(a, b *contact) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.addr, b.addr))
	})
	return unlinked
}

// grace is how long gossip has to make a route.
func (k *keeper) grace() time.Duration {
	return gossipGrace + time.Duration(len(k.contacts))*gossipShare
}

// due says whether an address is to be asked now. Without any route, a few are, and a few more after each pause; with
// one, gossip comes first. A hidden node looks for one route only, and beyond that for whom it was asked to find.
func (k *keeper) due(now time.Time, c *contact, rank int, linked bool) bool {
	switch {
	case c.probing || now.Before(c.next):
		return false
	case c.urgent:
		return true
	case linked && k.n.cfg.Hidden:
		return false
	case linked:
		return now.Sub(c.since) >= k.grace()
	}
	return now.Sub(c.since) >= time.Duration(rank/seeds)*seedPause
}

// dial tells the broker which addresses to dial: those that it dials already, since dropping one closes its route; one
// to begin with; the ones that somebody waits for; and after gossip's grace the rest.
func (k *keeper) dial(now time.Time, unlinked []*contact, routed map[string]bool) {
	var want []string
	pending := 0
	for _, addr := range k.dialled {
		c := k.contacts[addr]
		if c == nil || c.tries >= giveUpAfter {
			continue
		}
		want = append(want, addr)
		if !routed[c.server] && now.Before(c.dialAt) {
			pending++
		}
	}
	fresh := 0
	for _, c := range unlinked {
		if fresh == dialsAtOnce || c.good.IsZero() || slices.Contains(want, c.addr) {
			continue
		}
		if c.urgent || k.patienceOver(now, c) || len(routed) == 0 && pending+fresh == 0 && k.mayBegin(now, c) {
			want = append(want, c.addr)
			fresh++
		}
	}
	slices.Sort(want)
	if slices.Equal(want, k.dialled) || len(k.dialled) > 0 && now.Sub(k.changed) < dialPause {
		return
	}
	k.setDialled(now, want)
}

// mayBegin says whether a node without routes may dial this address first.
func (k *keeper) mayBegin(now time.Time, c *contact) bool {
	return c.node < k.n.id.Name || k.n.cfg.Hidden || now.Sub(c.seen) >= courtesy
}

// patienceOver says whether gossip has had its time with an address. The higher of two nodes waits three times as
// long, so that they do not dial each other, which would cost both connections.
func (k *keeper) patienceOver(now time.Time, c *contact) bool {
	if k.n.cfg.Hidden {
		return false
	}
	wait := k.grace()
	if c.node < k.n.id.Name {
		wait *= 3
	}
	return now.Sub(c.since) >= wait
}

func (k *keeper) setDialled(now time.Time, want []string) {
	if err := k.n.broker.SetRoutes(want); err != nil {
		if !errors.Is(err, broker.ErrClosed) {
			k.n.log.Warn().Err(err).Msg("could not change routes")
		}
		return
	}
	for _, addr := range want {
		if c := k.contacts[addr]; c != nil && !slices.Contains(k.dialled, addr) {
			c.dialAt = now.Add(dialPatience)
		}
	}
	k.dialled, k.changed = want, now
}
