package node

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/internal/queue"
	"github.com/kith-mesh/kith/internal/wire"
)

// keeper sees to it that there is a route to every address that discovery knows, and to every living node that this
// one has had a session with: NATS spreads routes by gossip, but does not mend one that gossip made. An address is
// asked who it is before it becomes a route, so a wrong cookie, another mesh or this node itself is explained once and
// costs no retry storm.
//
// It keeps routes only. Sessions open on top of them, by the controller's rules.
type keeper struct {
	n       *Node
	ctx     context.Context
	started atomic.Bool
	updates *queue.Queue[func()]
	stopped chan struct{}
	probes  sync.WaitGroup
	slots   chan struct{} // bounds probes at the same time

	contacts map[string]*contact
	dialled  []string // what the broker was told to dial
	first    bool     // every strategy has reported once
	reported map[string]bool

	// open is the number of contacts whose first answer is outstanding, plus one until discovery has reported.
	open atomic.Int32
}

// contact is one address.
type contact struct {
	addr    string
	sources map[string]bool
	name    string // of the server that answered there
	known   bool   // an answer, good or bad, has come
	probing bool
	tries   int
	next    time.Time // of the next probe
	good    time.Time // when it answered; zero if it did not
	logged  string    // the last refusal that was logged
}

const (
	// seedCount is how many addresses are dialled at once; gossip brings the others, and dialling them too would make
	// both sides dial each other, which costs both connections.
	seedCount = 1
	// gossipGrace is how long gossip has before the keeper dials an address itself.
	gossipGrace = 500 * time.Millisecond
	probeSlots  = 16
	// probePatience bounds one probe: a frozen process takes the connection and then says nothing.
	probePatience = 2 * time.Second
	maxPause      = 15 * time.Second
	// sourcePeer marks an address learned from the node there. It is forgotten when nobody answers any more.
	sourcePeer  = "peer"
	forgetAfter = 6
)

func newKeeper(n *Node, ctx context.Context) *keeper {
	k := &keeper{
		n: n, ctx: ctx, updates: queue.New[func()](), stopped: make(chan struct{}),
		slots: make(chan struct{}, probeSlots), contacts: map[string]*contact{}, reported: map[string]bool{},
	}
	k.open.Store(1)
	return k
}

// do has f run on the keeper. It never blocks.
func (k *keeper) do(f func()) { k.updates.Push(f) }

// know takes over where a peer says that it listens. It does not wait.
func (k *keeper) know(i wire.Info) {
	if i.Addr == "" || i.Hidden {
		return
	}
	server := serverName(ID{i.Name, i.Incarnation}, i.Hidden)
	k.do(func() {
		c := k.contact(i.Addr, sourcePeer)
		c.name, c.known, c.good = server, true, time.Now()
	})
}

// forget drops an address that was learned from a peer that has left.
func (k *keeper) forget(server string) {
	k.do(func() {
		for _, c := range k.contacts {
			if c.name == server {
				delete(c.sources, sourcePeer)
			}
		}
	})
}

// run looks after the contacts until the node stops.
func (k *keeper) run() {
	defer close(k.stopped)
	defer k.probes.Wait()
	var strategies sync.WaitGroup
	defer strategies.Wait()
	for i, s := range k.n.cfg.Discovery {
		source := fmt.Sprintf("%s/%d", s.Name(), i) // two strategies may share a name: static and Join
		strategies.Go(func() { k.discover(source, s) })
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-k.updates.Wake():
			for _, f := range k.updates.Take(nil) {
				f()
			}
		case <-timer.C:
		case <-k.ctx.Done():
			return
		}
		timer.Reset(k.step(time.Now()))
	}
}

// discover runs one strategy, whose candidates are kept apart from those of others by source.
func (k *keeper) discover(source string, s discovery.Strategy) {
	n := k.n
	self := discovery.Self{
		Name: n.cfg.Name, Incarnation: n.id.Incarnation, Addr: n.Addr(), Mesh: n.cfg.Mesh, Hidden: n.cfg.Hidden,
		PID: pid, Cookie: n.cfg.Cookie,
	}
	err := s.Run(k.ctx, self, func(list []discovery.Candidate) {
		k.do(func() { k.found(source, list) })
	}, func(err error) {
		n.log.Warn().Err(err).Str("strategy", s.Name()).Msg("discovery failed; what is connected stays")
		k.do(func() { k.report(source) })
	})
	if err != nil {
		n.log.Error().Err(err).Str("strategy", s.Name()).Msg("discovery strategy cannot work")
	}
	k.do(func() { k.report(source) })
}

// found takes over a strategy's list. What is not on it any more loses this source, but no living link.
func (k *keeper) found(source string, list []discovery.Candidate) {
	current := map[string]bool{}
	for _, c := range list {
		if c.Hidden || c.Addr == k.n.Addr() {
			continue
		}
		current[c.Addr] = true
		k.contact(c.Addr, source)
	}
	for addr, c := range k.contacts {
		if c.sources[source] && !current[addr] {
			delete(c.sources, source)
		}
	}
	k.report(source)
}

// report notes that a strategy has had its first word.
func (k *keeper) report(source string) {
	k.reported[source] = true
	if len(k.reported) >= len(k.n.cfg.Discovery) {
		k.first = true
	}
}

func (k *keeper) contact(addr, source string) *contact {
	c := k.contacts[addr]
	if c == nil {
		c = &contact{addr: addr, sources: map[string]bool{}}
		k.contacts[addr] = c
	}
	c.sources[source] = true
	return c
}

// step probes and dials what is due, and returns the time until it wants to run again.
func (k *keeper) step(now time.Time) time.Duration {
	if len(k.n.cfg.Discovery) == 0 {
		k.first = true
	}
	routed := *k.n.routed.Load()
	open := int32(0)
	for addr, c := range k.contacts {
		if len(c.sources) == 0 && !routed[c.name] {
			delete(k.contacts, addr)
			continue
		}
		if !routed[c.name] && !c.probing && !now.Before(c.next) {
			k.probe(c)
		}
		if !c.known || !c.good.IsZero() && !routed[c.name] && now.Sub(c.good) < time.Second {
			open++
		}
	}
	if !k.first {
		open++
	}
	k.dial(now, routed)
	if k.open.Swap(open) != open {
		k.n.changed()
	}
	return 50*time.Millisecond + rand.N(50*time.Millisecond)
}

// probe asks who is at an address.
func (k *keeper) probe(c *contact) {
	c.probing = true
	k.probes.Go(func() {
		select {
		case k.slots <- struct{}{}:
			defer func() { <-k.slots }()
		case <-k.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(k.ctx, probePatience)
		defer cancel()
		found, err := broker.Probe(ctx, c.addr, k.n.probeConfig())
		k.do(func() { k.answered(time.Now(), c, found, err) })
	})
}

// answered takes over what a probe found.
func (k *keeper) answered(now time.Time, c *contact, found broker.Probed, err error) {
	c.probing, c.known = false, true
	if err != nil {
		c.good = time.Time{}
		c.tries++
		pause := min(100*time.Millisecond<<min(c.tries, 10), maxPause)
		c.next = now.Add(pause/2 + rand.N(pause))
		if c.tries >= forgetAfter {
			delete(c.sources, sourcePeer)
		}
		k.refused(c, err)
		return
	}
	c.tries, c.good, c.next = 0, now, now.Add(gossipGrace)
	c.name = found.ServerName
	id, _, ok := parseServerName(found.ServerName)
	switch {
	case !ok:
		k.refused(c, broker.ErrNotNode)
		c.next = now.Add(maxPause)
	case ID(id) == k.n.id:
		c.sources = map[string]bool{} // ourselves
		c.good = time.Time{}
		c.next = now.Add(maxPause)
	case id.Name == k.n.id.Name:
		k.n.twin(ID(id), c.addr)
		c.next = now.Add(maxPause)
	}
}

// redial has an address dialled again now: its node lives, and its route was lost.
func (k *keeper) redial(addr string) {
	c := k.contact(addr, sourcePeer)
	c.good, c.known = time.Now().Add(-gossipGrace), true
	if slices.Contains(k.dialled, addr) {
		if err := k.n.broker.Redial(addr); err != nil && !errors.Is(err, broker.ErrClosed) {
			k.n.log.Warn().Err(err).Str("address", addr).Msg("could not dial again")
		}
	}
}

// refused explains why an address does not become a peer, once for each reason.
func (k *keeper) refused(c *contact, err error) {
	if k.ctx.Err() != nil {
		return
	}
	k.n.noteRefusal(c.addr, c.name, err)
	kind := refusalKind(err)
	if c.logged == kind {
		return
	}
	c.logged = kind
	event := k.n.log.Debug()
	if errors.Is(err, broker.ErrCookie) || errors.Is(err, broker.ErrMesh) || errors.Is(err, broker.ErrNotNode) {
		event = k.n.log.Error()
	}
	event.Err(err).Str("address", c.addr).Msg("refused a candidate")
}

func refusalKind(err error) string {
	for _, e := range []error{broker.ErrCookie, broker.ErrMesh, broker.ErrNotNode, broker.ErrNotListening, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return "other"
}

// dial tells the broker which addresses to dial: those that stand, some that answered, and, after a grace for gossip,
// every one that answered and still has no route.
func (k *keeper) dial(now time.Time, routed map[string]bool) {
	var keep, fresh []string
	for addr, c := range k.contacts {
		was := slices.Contains(k.dialled, addr)
		switch {
		case routed[c.name]:
			if was {
				keep = append(keep, addr) // dropping it would close the route
			}
		case c.good.IsZero():
		case was && now.Sub(c.good) < 2*time.Second:
			keep = append(keep, addr)
		case !was:
			if len(keep)+len(fresh)+len(k.dialled) < seedCount || now.Sub(c.good) >= gossipGrace/2 {
				fresh = append(fresh, addr)
			}
		}
	}
	want := append(keep, fresh...)
	slices.Sort(want)
	if slices.Equal(want, k.dialled) {
		return
	}
	if err := k.n.broker.SetRoutes(want); err != nil {
		if !errors.Is(err, broker.ErrClosed) {
			k.n.log.Warn().Err(err).Msg("could not change routes")
		}
		return
	}
	k.dialled = want
}
