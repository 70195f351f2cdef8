package node

import (
	"cmp"
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
	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/queue"
	"github.com/kith-mesh/kith/internal/sparse"
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
	routes  dialler
	ask     func(*contact) // asks who is there; answered is told
	started atomic.Bool
	updates *queue.Queue[func()]
	stopped chan struct{}
	probes  sync.WaitGroup
	slots   chan struct{} // bounds probes at the same time

	contacts map[string]*contact
	dialled  []string    // what the broker was told to dial
	changed  time.Time   // when that was last changed
	retry    time.Time   // when that may be changed again, after the broker refused
	badAddrs sparse.Gate // of warnings about addresses that cannot be dialled
	first    bool        // every strategy has reported once
	reported map[string]bool
	links    int       // servers with a route when it last looked
	progress time.Time // when that number last grew

	// open is the number of contacts that a start waits for, plus one until discovery has reported.
	open atomic.Int32
}

// dialler is what the keeper needs of the broker.
type dialler interface {
	SetRoutes(addrs []string) error
	Redial(addrs ...string) error
}

const (
	probeSlots = 16
	// probePatience bounds one probe where there was a route before: a frozen process takes the connection and then says
	// nothing, and TCP doubles its pauses behind a cut. A node that has just started may be slow: it has firstPatience.
	probePatience = 2 * time.Second
	firstPatience = 8 * time.Second
)

func newKeeper(n *Node, ctx context.Context) *keeper {
	k := &keeper{
		n: n, ctx: ctx, updates: queue.New[func()](), stopped: make(chan struct{}),
		slots: make(chan struct{}, probeSlots), contacts: map[string]*contact{}, reported: map[string]bool{},
		routes: n.broker,
	}
	k.ask = k.probe
	k.open.Store(1)
	return k
}

// do has f run on the keeper. It never blocks. Where there are no routes, there is nothing to keep.
func (k *keeper) do(f func()) {
	if k.n.cfg.Mode.Routed() {
		k.updates.Push(f)
	}
}

// know takes over where a peer says that it listens. It does not wait.
func (k *keeper) know(i wire.Info) {
	if i.Addr == "" || i.Hidden || address.Everywhere(i.Addr) { // the last is this host, for whoever dials it
		return
	}
	server := serverOf(i)
	k.do(func() {
		c := k.contact(i.Addr, sourcePeer)
		if c == nil {
			return
		}
		c.server, c.node, c.known, c.good = server, i.Name, true, time.Now()
		if c.answers.IsZero() {
			c.answers = c.good
		}
	})
}

// forget drops an address that was learned from a peer that has left.
func (k *keeper) forget(server string) {
	k.do(func() {
		for _, c := range k.contacts {
			if c.server == server {
				delete(c.sources, sourcePeer)
			}
		}
	})
}

// wish has the addresses under which discovery knows a node asked and dialled now. The start of the node counts as not
// complete until they have had their time. The keeper may be busy with the broker: it is waited for within ctx.
func (k *keeper) wish(ctx context.Context, name string) {
	if !k.n.cfg.Mode.Routed() {
		return
	}
	done := make(chan struct{})
	k.do(func() {
		defer close(done)
		for _, c := range k.contacts {
			if c.node == name {
				c.urgent, c.known, c.seen, c.next = true, false, time.Now(), time.Time{}
				k.open.Add(1)
			}
		}
	})
	select {
	case <-done:
	case <-k.ctx.Done():
	case <-ctx.Done():
	}
}

// redial has an address dialled again now: its node lives, and its route was lost.
func (k *keeper) redial(addr string) {
	c := k.contact(addr, sourcePeer)
	if c == nil {
		return
	}
	c.urgent, c.known, c.good = true, true, time.Now()
	if slices.Contains(k.dialled, addr) {
		k.again(addr)
	}
}

// run looks after the contacts until the node stops.
func (k *keeper) run() {
	defer close(k.stopped)
	if !k.n.cfg.Mode.Routed() {
		k.open.Store(0)
		k.n.changed()
		<-k.ctx.Done()
		return
	}
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
		k.step(time.Now())
		timer.Reset(20*time.Millisecond + rand.N(20*time.Millisecond))
	}
}

// discover runs one strategy, whose candidates are kept apart from those of others by source.
func (k *keeper) discover(source string, s discovery.Strategy) {
	n := k.n
	self := discovery.Self{
		Name: n.cfg.Name, Incarnation: n.id.Incarnation, Addr: cmp.Or(n.Addr(), n.broker.AdvertisedAddr()), Mesh: n.cfg.Mesh, Hidden: n.cfg.Hidden,
		PID: pid, Cookies: n.cookies, Draining: n.drained,
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
		if known := k.contact(c.Addr, source); known != nil {
			known.learn(c)
		}
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

// contact returns the contact of an address, which a source names. It is nil for one that the broker cannot dial, such as
// HOST:http: one of them would keep the whole list from being dialled.
func (k *keeper) contact(addr, source string) *contact {
	c := k.contacts[addr]
	if c == nil {
		if err := broker.CheckAddr(addr); err != nil {
			k.undiallable(addr, err)
			return nil
		}
		now := time.Now()
		c = &contact{addr: addr, sources: map[string]bool{}, seen: now, since: now}
		k.contacts[addr] = c
	}
	c.sources[source] = true
	return c
}

// undiallable tells of an address that is left out.
func (k *keeper) undiallable(addr string, err error) {
	if k.badAddrs.Allow(time.Now()) {
		k.n.log.Warn().Err(err).Str("address", addr).Msg("left out an address that cannot be dialled")
	}
}

// step probes and dials what is due. It is called some 30 times a second.
func (k *keeper) step(now time.Time) {
	if len(k.n.cfg.Discovery) == 0 {
		k.first = true
	}
	routed := *k.n.routed.Load()
	if len(routed) > k.links {
		k.progress = now
	}
	k.links = len(routed)
	unlinked := k.sort(now, routed)
	for rank, c := range unlinked {
		if k.due(now, c, rank, len(routed) > 0) {
			c.probing, c.asked = true, now
			k.ask(c)
		}
	}
	k.dial(now, unlinked, routed)
	open := int32(0)
	for _, c := range unlinked {
		if now.Sub(c.seen) < settlePatience && (!c.known || !c.good.IsZero()) {
			open++
		}
	}
	if !k.first {
		open++
	}
	if k.open.Swap(open) != open {
		k.n.changed()
	}
}

// probe asks who is at an address.
func (k *keeper) probe(c *contact) {
	patience := firstPatience
	if c.linked {
		patience = probePatience
	}
	k.probes.Go(func() {
		select {
		case k.slots <- struct{}{}:
			defer func() { <-k.slots }()
		case <-k.ctx.Done():
			return
		}
		ctx, cancel := context.WithTimeout(k.ctx, patience)
		defer cancel()
		found, err := k.n.broker.Probe(ctx, c.addr)
		k.do(func() { k.answered(time.Now(), c, found, err) })
	})
}

// answered takes over what a probe found.
func (k *keeper) answered(now time.Time, c *contact, found broker.Probed, err error) {
	c.probing, c.known = false, true
	if err != nil {
		c.failed(now, !somebodyElse(err))
		k.refused(c, err)
		return
	}
	c.answered(now)
	c.server = found.ServerName
	id, _, ok := parseServerName(found.ServerName)
	c.node = id.Name
	switch {
	case !ok:
		k.refused(c, broker.ErrNotNode)
		c.good, c.next = time.Time{}, now.Add(maxPause)
	case ID(id) == k.n.id, id.Incarnation == 0 && id.Name == k.n.id.Name && k.n.isStore():
		c.sources = map[string]bool{} // ourselves
		c.good, c.next = time.Time{}, now.Add(maxPause)
	case id.Name == k.n.id.Name:
		k.n.twin(ID(id), c.addr)
		c.next = now.Add(maxPause)
	}
}

// refused explains why an address does not become a peer, once for each reason.
func (k *keeper) refused(c *contact, err error) {
	if k.ctx.Err() != nil {
		return
	}
	k.n.noteRefusal(c.addr, c.node, err)
	kind := refusalKind(err)
	if c.logged == kind {
		return
	}
	c.logged = kind
	event := k.n.log.Debug()
	if errors.Is(err, broker.ErrCookie) || errors.Is(err, broker.ErrCertificate) || errors.Is(err, broker.ErrMesh) ||
		errors.Is(err, broker.ErrNotNode) {
		event = k.n.log.Error()
	}
	event.Err(err).Str("address", c.addr).Msg("refused a candidate")
}

func refusalKind(err error) string {
	for _, e := range []error{broker.ErrCookie, broker.ErrCertificate, broker.ErrMesh, broker.ErrNotNode, broker.ErrNotListening, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return "other"
}
