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
	node    string    // name of the node there, if it is known
	server  string    // name of the broker's server there, which holds the incarnation too
	started time.Time // when the node there was first to be found; zero if no source says
	seen    time.Time
	since   time.Time // no route since then; zero while there is one
	linked  bool      // there was a route once

	probing bool
	asked   time.Time // when the last probe began
	known   bool      // a probe was answered, or refused
	tries   int       // failed probes in a row
	next    time.Time
	good    time.Time // when it last answered; zero if it does not
	answers time.Time // since when it answers; zero if it does not
	silent  time.Time // since when nothing says whether somebody listens there; zero if its host says so
	urgent  bool      // somebody waits for the node
	dialAt  time.Time // until then, dialling it may still succeed
	logged  string    // the last refusal that was logged
}

const (
	// gossipGrace is how long gossip has before the keeper asks and dials an address itself. Where there never was a
	// route, each known address adds gossipShare: a mesh of many nodes takes longer to form, and dialling into that slows
	// it down.
	gossipGrace = time.Second
	gossipShare = 200 * time.Millisecond
	// seeds is how many addresses a node without any route asks at once; further ones after seedPause.
	seeds     = 3
	seedPause = 100 * time.Millisecond
	// courtesy is how long the lower of two nodes without routes waits for the higher to dial it: two that dial each
	// other at the same moment lose both connections.
	courtesy = 40 * time.Millisecond
	// seniority is how long a node without routes waits for a younger one to dial it, which must have found it. All that
	// start together so dial the oldest of them and gossip knows one mesh; where two parts of a mesh meet, every node
	// of one and every node of the other dial each other at the same moment.
	seniority = time.Second
	// elderPatience is how long a node without routes waits for the answer of the one that it would rather dial, elderShare
	// how much longer for each known address: where many start at once they all ask the same one.
	elderPatience = 100 * time.Millisecond
	elderShare    = 40 * time.Millisecond
	// deference is how long the higher of two nodes leaves an address that answers again to the lower one.
	deference = time.Second
	// calmLimit is how many times its grace gossip has with an address while it still brings other routes.
	calmLimit = 10
	// goodFor is how long an answer counts.
	goodFor  = 2 * time.Second
	maxPause = 15 * time.Second
	// lostPause is the greatest pause where there was a route before: it says how long two nodes need at most to find
	// each other again when a network heals. After longLost it is maxPause there too.
	lostPause = 2 * time.Second
	longLost  = 10 * time.Minute
	// dialPatience is how long a dialled address has to become a route, firstPatience how long where there never was one:
	// many nodes that start at once are slow.
	dialPatience = 2 * time.Second
	// dialPause is the least time between two changes of what the broker dials. Each reloads the broker's options, which
	// keeps new connections waiting until those that are shaking hands are done.
	dialPause = 500 * time.Millisecond
	// refusedPause is the pause after the broker could not change what it dials.
	refusedPause = 2 * time.Second
	// dialsAtOnce bounds the addresses that one such change adds.
	dialsAtOnce = 2
	// sourcePeer marks an address learned from the node there. It is forgotten when its host says that nobody listens, or
	// another answers, or when it was silent for long: behind a cut it may live, and nothing else brings it back.
	sourcePeer       = "peer"
	forgetAfter      = 6
	forgetSilentTime = 24 * time.Hour
	// giveUpAfter is how many probes in a row must fail before the broker is told to dial an address no more.
	giveUpAfter = 3
)

// learn takes over what a strategy knows of the node.
func (c *contact) learn(from discovery.Candidate) {
	if from.Name == "" {
		return
	}
	c.node, c.started = from.Name, from.Started
	if from.Incarnation != 0 {
		c.server = serverName(ID{from.Name, from.Incarnation}, from.Hidden)
	}
}

// pause is the time until the next probe after failures: 100 ms doubling up to 15 s, or 2 s where there was a route until
// lately, jittered.
func (c *contact) pause(now time.Time) time.Duration {
	most := maxPause
	if c.linked && now.Sub(c.since) < longLost {
		most = lostPause
	}
	d := min(100*time.Millisecond<<min(c.tries, 10), most)
	return d/2 + rand.N(d)
}

// failed notes a probe that found nobody, and forgets what the node there once said of it where it is of no use any more:
// soon where its host says that it is not there, and late where it is silent, as any failure of this side counts too. A
// resolver that is down, descriptors that have run out or a wrong cookie end, and then only this contact brings it back.
func (c *contact) failed(now time.Time, silent bool) {
	c.good, c.answers = time.Time{}, time.Time{}
	switch {
	case !silent:
		c.silent = time.Time{}
	case c.silent.IsZero():
		c.silent = now
	}
	c.tries++
	c.next = now.Add(c.pause(now))
	if c.tries >= forgetAfter && (!silent || now.Sub(c.silent) >= forgetSilentTime) {
		delete(c.sources, sourcePeer)
	}
}

// answered notes a probe that found somebody.
func (c *contact) answered(now time.Time) {
	if c.answers.IsZero() {
		c.answers = now
	}
	c.tries, c.good, c.next, c.logged, c.silent = 0, now, now.Add(goodFor), "", time.Time{}
}

// answering says whether somebody answered there, since the route was lost if there was one.
func (c *contact) answering() bool { return !c.good.IsZero() && !c.good.Before(c.since) }

// sort drops contacts that nobody names any more, notes who has a route, and returns those without, in an order on which
// nodes that start together agree: so they choose the same seed, and gossip reaches all.
func (k *keeper) sort(now time.Time, routed map[string]bool) (unlinked []*contact) {
	for addr, c := range k.contacts {
		switch {
		case routed[c.server]:
			c.since, c.urgent, c.tries, c.linked = time.Time{}, false, 0, true
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
		return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.node, b.node), cmp.Compare(a.addr, b.addr))
	})
	return unlinked
}

// grace is how long gossip has to make a route.
func (k *keeper) grace(c *contact) time.Duration {
	if c.linked {
		return gossipGrace
	}
	return gossipGrace + time.Duration(len(k.contacts))*gossipShare
}

// due says whether an address is to be asked now. Without any route, a few are, and a few more after each pause; with
// one, or one in the making, gossip comes first: a question costs both sides as much as a connection does. A hidden node
// looks for one route only, and beyond that for whom it was asked to find.
func (k *keeper) due(now time.Time, c *contact, rank int, linked bool) bool {
	switch {
	case c.probing || now.Before(c.next):
		return false
	case c.urgent:
		return true
	case linked && k.n.cfg.Hidden:
		return false
	case linked:
		return now.Sub(c.since) >= k.grace(c) && !k.forming(now, c)
	case c.server != "" && rank > 0 && k.underWay(now):
		return false // a source vouches for it
	}
	return now.Sub(c.since) >= time.Duration(rank/seeds)*seedPause
}

// underWay says whether an address was dialled a moment ago.
func (k *keeper) underWay(now time.Time) bool {
	return slices.ContainsFunc(k.dialled, func(addr string) bool {
		c := k.contacts[addr]
		return c != nil && now.Before(c.dialAt)
	})
}

// forming says whether gossip may yet bring a first route to an address: it still brings others.
func (k *keeper) forming(now time.Time, c *contact) bool {
	wait := k.grace(c)
	return !c.linked && now.Sub(c.since) < calmLimit*wait && now.Sub(k.progress) < wait
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
	begins := len(routed) == 0 && pending == 0
	for _, c := range unlinked {
		// One to begin with that may yet answer goes before those that have.
		begins = begins && !k.mayAnswer(now, c)
		if fresh == dialsAtOnce || !c.answering() || slices.Contains(want, c.addr) {
			continue
		}
		if c.urgent || k.patienceOver(now, c) || begins && fresh == 0 && k.mayBegin(now, c) {
			want = append(want, c.addr)
			fresh++
		}
	}
	k.insist(now, routed)
	slices.Sort(want)
	if slices.Equal(want, k.dialled) || now.Before(k.retry) || len(k.dialled) > 0 && now.Sub(k.changed) < dialPause {
		return
	}
	k.setDialled(now, want)
}

// insist has addresses dialled again now that the broker dials already, and that answer without becoming a route: its own
// pauses grow up to 30 s while nobody answers.
func (k *keeper) insist(now time.Time, routed map[string]bool) {
	for _, addr := range k.dialled {
		c := k.contacts[addr]
		if c == nil || routed[c.server] || !c.good.After(c.since) || now.Sub(c.since) < dialPatience ||
			now.Before(c.dialAt.Add(dialPatience)) {
			continue
		}
		c.dialAt = now.Add(dialPatience)
		k.again(addr)
	}
}

// again has the broker dial an address of its list without waiting.
func (k *keeper) again(addr string) {
	if err := k.routes.Redial(addr); err != nil && !errors.Is(err, broker.ErrClosed) {
		k.n.log.Warn().Err(err).Str("address", addr).Msg("could not dial again")
	}
}

// mayBegin says whether a node without routes may dial this address first.
func (k *keeper) mayBegin(now time.Time, c *contact) bool {
	own := k.n.listed
	switch {
	case k.n.cfg.Hidden:
		return true
	case !own.IsZero() && !c.started.IsZero() && !own.Equal(c.started):
		return c.started.Before(own) || now.Sub(c.seen) >= seniority
	}
	return c.node < k.n.id.Name || now.Sub(c.seen) >= courtesy
}

// mayAnswer says whether a node may be waited for that was asked a moment ago and that this one would rather dial. If all
// that start at once dial the same one, gossip knows one mesh from the beginning and brings each pair one connection.
func (k *keeper) mayAnswer(now time.Time, c *contact) bool {
	patience := elderPatience + time.Duration(len(k.contacts))*elderShare
	return c.probing && c.tries == 0 && now.Sub(c.asked) < patience && k.mayBegin(now, c)
}

// patienceOver says whether gossip has had its time with an address. While it still brings routes to nodes that had none,
// it is left alone. The higher of two nodes waits longer, so that they do not dial each other, which would cost both
// connections.
func (k *keeper) patienceOver(now time.Time, c *contact) bool {
	if k.n.cfg.Hidden {
		return false
	}
	wait, away := k.grace(c), now.Sub(c.since)
	switch {
	case k.forming(now, c):
		return false
	case c.node < k.n.id.Name:
		return away >= 2*wait && now.Sub(c.answers) >= deference
	}
	return away >= wait
}

func (k *keeper) setDialled(now time.Time, want []string) {
	err := k.routes.SetRoutes(want)
	if errors.Is(err, broker.ErrBadConfig) {
		want, err = k.setOneByOne(want)
	}
	if err != nil {
		if !errors.Is(err, broker.ErrClosed) {
			k.n.log.Warn().Err(err).Msg("could not change routes")
		}
		k.retry = now.Add(refusedPause)
		return
	}
	for _, addr := range want {
		if c := k.contacts[addr]; c != nil && !slices.Contains(k.dialled, addr) {
			k.n.log.Debug().Str("address", addr).Str("peer", c.node).Bool("lost", c.linked).Msg("dialling")
			c.dialAt = now.Add(dialPatience)
			if !c.linked {
				c.dialAt = now.Add(firstPatience)
			}
		}
	}
	k.dialled, k.changed = want, now
}

// setOneByOne finds which of the new addresses the broker refuses, forgets those, and has it dial the rest.
func (k *keeper) setOneByOne(want []string) (taken []string, err error) {
	for _, addr := range want {
		if slices.Contains(k.dialled, addr) {
			taken = append(taken, addr)
		}
	}
	for _, addr := range want {
		if slices.Contains(k.dialled, addr) {
			continue
		}
		more := append(slices.Clone(taken), addr)
		switch err := k.routes.SetRoutes(more); {
		case errors.Is(err, broker.ErrBadConfig):
			k.undiallable(addr, err)
			delete(k.contacts, addr)
		case err != nil:
			return nil, err
		default:
			taken = more
		}
	}
	slices.Sort(taken)
	return taken, k.routes.SetRoutes(taken) // nothing new, unless the last one was refused
}
