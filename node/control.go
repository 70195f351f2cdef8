package node

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/queue"
	"github.com/kith-mesh/kith/internal/wire"
)

// controller is the goroutine that owns the membership table: handshakes, ticks, the detection of the dead. It never
// waits for the dispatcher or for a peer.
type controller struct {
	n        *Node
	table    *membership.Table
	conn     *nats.Conn
	messages chan *nats.Msg
	work     *queue.Queue[func(t *membership.Table, now time.Time)]
	stop     chan struct{}
	stopped  chan struct{}

	sessions map[uint64]*session // expected and open, by connection id
	routes   map[string]bool     // servers with a route now
	dirty    bool                // the routes may have changed
	looked   time.Time           // when they were last looked at
	// compareAt is when to look whether they have changed unnoticed.
	compareAt time.Time
	lookCost  time.Duration // how long that took
	gaveUp    gaveUp
	// verifying are the nodes whose address is being asked; checks are the goroutines that ask.
	verifying map[membership.ID]bool
	checks    sync.WaitGroup
	waiters   map[membership.ID][]chan error
	byes      map[uint64]chan struct{}
	announcer announcer
	sightings map[membership.ID]*sighting // nodes that show by their announcements
	doubts    map[membership.ID]time.Time // since when nobody takes what is for a node that cannot be asked
	seen      atomic.Int32                // how many those are
	linked    atomic.Bool                 // somebody can be reached
	// expected is how many nodes those knew of who answered this one. quiet and patience are when the search for others
	// is over, in Unix nanoseconds: where no more are expected, and where they do not show.
	expected        atomic.Int32
	quiet, patience atomic.Int64
	pings           map[uint64]chan struct{} // by the token of a probe
	half            bool                     // some route has one account's connection only, when last looked at
	pending         atomic.Int32             // nodes that should be connected and are not yet
}

// controlCapacity bounds the control messages that wait; the account carries a few a second from each peer.
const controlCapacity = 16 << 10

func newController(n *Node) *controller {
	c := &controller{
		n: n, messages: make(chan *nats.Msg, controlCapacity),
		work: queue.New[func(*membership.Table, time.Time)](),
		stop: make(chan struct{}), stopped: make(chan struct{}),
		sessions: map[uint64]*session{}, routes: map[string]bool{}, gaveUp: gaveUp{}, verifying: map[membership.ID]bool{},
		waiters: map[membership.ID][]chan error{}, byes: map[uint64]chan struct{}{}, announcer: announcer{lives: map[string]uint64{}},
		sightings: map[membership.ID]*sighting{}, doubts: map[membership.ID]time.Time{},
		pings: map[uint64]chan struct{}{},
	}
	c.table = membership.New(membership.Config{
		Self: n.info, Interval: n.cfg.Tick, Setup: n.cfg.Setup, Window: n.grant.Load(),
		Auto:   membership.Auto(n.cfg.AutoConnect),
		Admit:  func(i wire.Info) error { return n.cfg.admit(i.Name) },
		Prover: n.prover(),
		NewConn: func() uint64 {
			return rand.Uint64() | 1 // never zero
		},
		Jitter: rand.Float64,
	}, c)
	return c
}

// do has f run on the controller. It never blocks.
func (c *controller) do(f func(t *membership.Table, now time.Time)) { c.work.Push(f) }

// call is do, and waits.
func (c *controller) call(f func(t *membership.Table, now time.Time)) error {
	done := make(chan struct{})
	c.do(func(t *membership.Table, now time.Time) { f(t, now); close(done) })
	select {
	case <-done:
		return nil
	case <-c.stopped:
		return ErrClosed
	}
}

// receive hands a message of the ordered account over.
func (c *controller) receive(m wire.Control, inOrder bool) {
	c.do(func(t *membership.Table, now time.Time) {
		if c.proven(m) {
			t.Receive(now, m, inOrder)
		}
	})
}

func (c *controller) run() {
	defer close(c.stopped)
	defer c.checks.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var spare []func(*membership.Table, time.Time)
	for {
		select {
		case m := <-c.messages:
			c.message(m)
		case <-c.work.Wake():
			list := c.work.Take(spare)
			for i, f := range list {
				f(c.table, time.Now())
				list[i] = nil
			}
			spare = list
		case <-timer.C:
		case <-c.stop:
			return
		}
		c.listen()
		now := time.Now()
		c.compareRoutes(now)
		next := c.announce(now, c.settleRoutes(now, c.table.Tick(now)))
		timer.Reset(time.Until(sooner(next, c.compareAt)))
		c.n.shadows.Store(int32(c.table.Shadows()))
		if p := int32(c.table.Pending()); c.pending.Swap(p) != p {
			c.n.changed()
		}
	}
}

// routePause is the least time between two looks at the broker's routes, which take its lock: while fifty nodes form a
// mesh, hundreds of events come at once. Where a look takes long, nine tenths of the time are left to others.
const routePause = 3 * time.Millisecond

// settleRoutes looks at the routes if something changed, and returns the earlier of next and when it wants to look again.
func (c *controller) settleRoutes(now, next time.Time) time.Time {
	if !c.dirty {
		return next
	}
	if due := c.looked.Add(max(routePause, 10*c.lookCost)); now.Before(due) {
		if due.Before(next) {
			return due
		}
		return next
	}
	c.refreshRoutes()
	return now // the table may want to act on what was found
}

// message takes one message of the control account.
func (c *controller) message(m *nats.Msg) {
	if peer, ok := strings.CutPrefix(m.Subject, c.n.replyPrefix); ok {
		if inc, err := strconv.ParseUint(peer, 16, 64); err == nil && m.Header.Get("Status") == "503" {
			c.nobody(inc)
		}
		return
	}
	msg, err := wire.DecodeControl(m.Data)
	if err != nil {
		c.n.corrupted(func(e *zerolog.Event) { e.Err(err).Msg("dropped a control message that does not parse") })
		return
	}
	if answer := c.pings[msg.Token]; answer != nil && msg.Verb == wire.Alive {
		close(answer)
		delete(c.pings, msg.Token)
	}
	now := time.Now()
	if len(c.doubts) > 0 {
		delete(c.doubts, membership.IDOf(msg.From))
	}
	if msg.Verb == wire.Announce && !c.announced(now, msg, m.Subject == c.n.subjects.announce()) || !c.proven(msg) {
		return // told, and counted
	}
	if c.n.broker.Proven() || c.sightings[membership.IDOf(msg.From)] != nil {
		c.learnStore(now, msg.From)
	}
	c.table.Receive(now, msg, false)
}

// nobody is told that a node's control messages find no taker. That alone does not say that the node is gone: two nodes
// that dial each other at the same moment lose both connections for an instant. So its address is asked, unless the
// route stands, or our own broker gave it up: then it says nothing. One that refuses is gone.
func (c *controller) nobody(inc uint64) {
	id, ok := c.table.ByIncarnation(inc)
	if !ok || c.verifying[id] {
		return
	}
	if life := c.announcer.lives[id.Name]; life != 0 && life != id.Incarnation {
		c.table.NoResponder(time.Now(), id) // the route is that of the store's next life
		return
	}
	c.refreshRoutes()
	for _, name := range serverNames(id) {
		if c.routes[name] {
			return
		}
	}
	if c.gaveUp.has(id) {
		return
	}
	addr := c.table.Addr(id)
	if addr == "" || address.Everywhere(addr) || !c.n.cfg.Mode.Routed() {
		c.unanswered(time.Now(), id)
		return
	}
	c.verifying[id] = true
	c.checks.Go(func() { c.verify(id, addr) })
}

// verify asks a suspect's address whether the node is still there, and reports to the controller.
func (c *controller) verify(id membership.ID, addr string) {
	ctx, cancel := context.WithTimeout(c.n.ctx, membership.Misses*c.n.Tick())
	defer cancel()
	found, err := c.n.broker.Probe(ctx, addr)
	what := verdictOn(id, membership.ID(c.n.id), found, err)
	c.do(func(t *membership.Table, now time.Time) {
		delete(c.verifying, id)
		switch what {
		case verdictStore:
			c.n.keeper.do(func() { c.n.keeper.redial(addr) })
		case verdictLives:
			t.Confirm(now, id)
			c.n.keeper.do(func() { c.n.keeper.redial(addr) })
		case verdictGone:
			t.NoResponder(now, id)
		}
	})
}

// verdict is what the answer of a suspect's address proves.
type verdict uint8

const (
	verdictNone  verdict = iota // nothing: ticks will tell
	verdictLives                // the node is there
	verdictStore                // a life of the store is there; which one, its ticks or announcements will tell
	verdictGone                 // the node is not there any more
)

// verdictOn judges the answer. Only what the other end says is proof that a node is gone, never what fails at this one: a
// resolver that does not answer, no descriptors left, a cookie that was mistyped a moment ago, or an address that leads
// back to this node would otherwise end the sessions of peers that live.
func verdictOn(id, self membership.ID, found broker.Probed, err error) verdict {
	there, _, _ := parseServerName(found.ServerName)
	switch {
	case err == nil && there == self:
		return verdictNone
	case err == nil && there.Name == id.Name && there.Incarnation == 0:
		return verdictStore
	case err == nil && there == id:
		return verdictLives
	case err == nil, somebodyElse(err):
		return verdictGone
	case errors.Is(err, broker.ErrHungUp):
		return verdictGone // a node that is ending, or a forwarder in front of one that has ended
	}
	return verdictNone
}

// somebodyElse says whether a probe failed because the host said that nobody listens there, or because something answers
// that is no node of the mesh.
func somebodyElse(err error) bool {
	return errors.Is(err, broker.ErrNotListening) || errors.Is(err, broker.ErrMesh) || errors.Is(err, broker.ErrNotNode)
}

// listen tells the table when each session was last heard on the ordered account.
func (c *controller) listen() {
	for conn, s := range c.sessions {
		if at := s.heard.Load(); at != 0 {
			c.table.Heard(conn, c.n.epoch.Add(time.Duration(at)))
		}
	}
}

// onRoute is called by the broker, inside its locks.
func (c *controller) onRoute(e broker.RouteEvent) {
	at := time.Now()
	c.do(func(*membership.Table, time.Time) { c.route(at, e) })
}

func (c *controller) route(at time.Time, e broker.RouteEvent) {
	switch e.Kind {
	case broker.RouteRefused:
		c.n.refusedRoute(e)
	case broker.RouteDown:
		if !e.ByPeer && e.Reason != broker.CloseDuplicate {
			c.gaveUp[e.Remote] = at
		}
		if id, _, ok := c.identify(e.Remote); ok && e.ByPeer {
			c.table.Suspect(time.Now(), id)
		}
		c.dirty = true
	case broker.LeafDown:
		if id, _, ok := c.identify(e.Remote); ok && e.ByPeer {
			c.table.Suspect(time.Now(), id)
		}
		c.link()
	default:
		c.link()
		c.dirty = true
	}
}

// compareRoutes notices a change that no event told, or told before the broker knew it itself. It looks a few times in each
// interval, however busy the controller is.
func (c *controller) compareRoutes(now time.Time) {
	if now.Before(c.compareAt) {
		return
	}
	c.compareAt = now.Add(c.n.Tick() / membership.Misses)
	c.forgetSightings(now)
	if !c.n.cfg.Mode.Routed() {
		c.link()
		if !c.linked.Load() {
			c.compareAt = now.Add(linkPoll)
		}
	}
	if c.half || c.n.broker.NumRemotes() != len(c.routes) {
		c.dirty = true
	}
}

// refreshRoutes tells the table who can be reached.
func (c *controller) refreshRoutes() {
	began := time.Now()
	list, err := c.n.broker.Routes()
	if err != nil {
		return // closing
	}
	now := time.Now()
	c.dirty, c.looked, c.lookCost = false, now, now.Sub(began)
	current := make(map[string]bool, len(list))
	names, half := make(map[string]bool, len(list)), false
	for _, r := range list {
		current[r.ServerName] = true
		// Where both sides dialled at the same moment, one account's connection can be lost for good: no session can open
		// over what is left, so the keeper must dial that node as if there were no route.
		names[r.ServerName] = slices.Contains(r.Accounts, broker.App) && slices.Contains(r.Accounts, broker.Control)
		half = half || !names[r.ServerName]
		if !c.routes[r.ServerName] {
			delete(c.gaveUp, r.ServerName)
		}
		c.gaveUp.repaired(r, names[r.ServerName])
		if id, hidden, ok := c.identify(r.ServerName); ok {
			c.table.Seen(now, wire.Info{Name: id.Name, Incarnation: id.Incarnation, Hidden: hidden})
		}
	}
	for name := range c.routes {
		if id, _, ok := c.identify(name); ok && !current[name] {
			c.table.Gone(now, id, !c.gaveUp.has(id))
		}
	}
	maps.DeleteFunc(c.gaveUp, func(name string, _ time.Time) bool {
		id, _, _ := c.identify(name)
		return !current[name] && !c.table.Knows(id)
	})
	if !maps.Equal(c.routes, current) && (c.n.isStore() || len(c.routes) == 0) {
		// Nodes without routes, which nothing tells of this one, answer.
		c.announcer.changed(now)
	}
	c.routes, c.half = current, half
	c.n.routed.Store(&names)
	c.n.changed()
}

// acknowledge tells a peer how much of its frames has been handed on. The dispatcher calls it.
func (c *controller) acknowledge(s *session, taken uint64) {
	m := wire.Control{
		Verb: wire.Ack, Conn: s.peer.Conn, Taken: taken, Window: c.n.grant.Load(),
		From: wire.Info{Name: c.n.id.Name, Incarnation: c.n.id.Incarnation},
	}
	c.publish(c.n.subjects.control(s.peer.Incarnation), "", m.Encode())
}

// opened reports that a session is up.
func (c *controller) opened(s *session) {
	c.do(func(t *membership.Table, now time.Time) {
		t.Opened(now, s.peer.Conn)
		c.answer(membership.ID(s.peer.ID), nil)
	})
}

// end reports a session that the dispatcher ended for the peer's goodbye, ended one that this side gave up.
func (c *controller) end(conn uint64, why membership.Why) {
	c.do(func(t *membership.Table, now time.Time) {
		if s := c.sessions[conn]; s != nil && why == membership.Shutdown {
			c.n.keeper.forget(serverOf(s.info))
		}
		delete(c.sessions, conn)
		t.End(now, conn, why)
	})
}

func (c *controller) ended(conn uint64, why membership.Why, detail string) {
	c.do(func(t *membership.Table, now time.Time) {
		delete(c.sessions, conn)
		t.Ended(now, conn, why, detail)
	})
}

func (c *controller) publish(subject, reply string, data []byte) {
	m := nats.Msg{Subject: subject, Reply: reply, Data: data}
	if err := c.conn.PublishMsg(&m); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		c.n.counters.controlFailed.Add(1) // ticks repeat what matters
	}
}
