package discovery

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/discovery/internal/pace"
)

const (
	// DefaultGroup is the multicast group of gossip.
	DefaultGroup = "233.252.1.32"
	// DefaultGossipInterval is the mean pause between two announcements; each pause is random, from a third of it to
	// five thirds.
	DefaultGossipInterval = 3 * time.Second

	// gossipHurry is the pause between the first announcements of a node, since a datagram may be lost.
	gossipHurry = 300 * time.Millisecond
	// gossipHurries is how many of them there are.
	gossipHurries = 3
	// gossipAnswer is the longest pause before a node that has just been heard of for the first time is answered.
	gossipAnswer = 200 * time.Millisecond
	// gossipQuiet is the shortest time between the announcement before and such an answer.
	gossipQuiet = time.Second
	// gossipCheck is how often interfaces and silent nodes are looked after.
	gossipCheck = 10 * time.Second
)

// GossipConfig says how nodes announce themselves. The zero value means the defaults.
type GossipConfig struct {
	// Group is the multicast group and port, GROUP:PORT, IPv4 or IPv6. The default is 233.252.1.32:45892.
	Group string
	// TTL is how many routers an announcement may pass, plus one. The default is 1: it stays in the local network.
	TTL int
	// Interfaces are the network interfaces to use. The default is loopback for a node that is reached at a loopback
	// address, and for others every interface that does multicast and is not loopback.
	Interfaces []string
	// Interval is the mean pause between two announcements. The default is DefaultGossipInterval.
	Interval time.Duration
	// Secret signs the announcements. The default is the mesh's cookie; where that is being changed, those signed with
	// another one that the node accepts are taken too.
	Secret []byte
}

// GossipStats counts datagrams since the strategy was made.
type GossipStats struct {
	// Sent and Received are all of them, this node's own included in both.
	Sent, Received uint64
	// Accepted are those that were news or a sign of life of a node of the mesh.
	Accepted uint64
	// BadSignature, BadClock, Replayed and Other are those given up: signed with another cookie, more than 30 s off this
	// node's clock, seen before (as when two interfaces are on one network), and all else.
	BadSignature, BadClock, Replayed, Other uint64
}

// GossipStrategy finds nodes by multicast. Make one with [Gossip].
type GossipStrategy struct {
	cfg   GossipConfig
	open  func(ctx context.Context, self Self) (gossipSocket, error)
	stats struct {
		sent, received, accepted, signature, clock, replayed, other atomic.Uint64
	}
}

// Gossip is the strategy of nodes that announce themselves by UDP multicast. An announcement holds the mesh, the node's
// name, incarnation and address, the time and a nonce, and is signed with HMAC-SHA256 by a key derived from the cookie.
// It is taken once, within 30 s of its time; a node that has not been heard of for 30 s is a candidate no more. What is
// remembered is bounded: 4,096 nodes and 16,384 announcements. A node that is about to leave says so in its last three
// announcements, and is a candidate no more at once.
//
// A wrong signature, a clock that differs and a second node with this node's name are reported, each at most once a
// minute. Announcements of other meshes are ignored.
func Gossip(cfg GossipConfig) *GossipStrategy {
	if cfg.Group == "" {
		cfg.Group = net.JoinHostPort(DefaultGroup, strconv.Itoa(DefaultPort))
	}
	if cfg.TTL == 0 {
		cfg.TTL = 1
	}
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultGossipInterval
	}
	g := &GossipStrategy{cfg: cfg}
	g.open = g.openUDP
	return g
}

// Name is "gossip".
func (g *GossipStrategy) Name() string { return "gossip" }

// Stats returns the counters. It may be called at any time from anywhere.
func (g *GossipStrategy) Stats() GossipStats {
	s := &g.stats
	return GossipStats{
		Sent: s.sent.Load(), Received: s.received.Load(), Accepted: s.accepted.Load(),
		BadSignature: s.signature.Load(), BadClock: s.clock.Load(), Replayed: s.replayed.Load(), Other: s.other.Load(),
	}
}

// openUDP opens the real socket.
func (g *GossipStrategy) openUDP(ctx context.Context, self Self) (gossipSocket, error) {
	group, err := parseGroup(g.cfg.Group)
	if err != nil {
		return nil, err
	}
	return openUDP(ctx, group, g.cfg.TTL, func() ([]net.Interface, error) {
		return chooseInterfaces(g.cfg.Interfaces, self.Addr)
	})
}

// Run announces this node and listens until ctx ends. See [Strategy].
func (g *GossipStrategy) Run(ctx context.Context, self Self, found func([]Candidate), fail func(error)) error {
	secrets := g.secrets(self)
	keys, err := g.check(self, secrets)
	if err != nil {
		return fmt.Errorf("%w: gossip: %w", ErrBadConfig, err)
	}
	r := &gossipRun{
		GossipStrategy: g, self: self, found: found, fail: fail, secrets: secrets,
		table: newGossipTable(self, keys...), complaints: make(map[error]complaint),
		pause: pace.Backoff{Base: g.cfg.Interval, Limit: maxBackoff},
	}
	found(nil)
	for {
		err := r.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			continue // the interfaces have changed
		}
		fail(fmt.Errorf("gossip: %w", err))
		if !pace.Sleep(ctx, r.pause.Next()) {
			return nil
		}
	}
}

// check returns the keys, or why this configuration can never work.
func (g *GossipStrategy) check(self Self, secrets [][]byte) ([][]byte, error) {
	if _, err := parseGroup(g.cfg.Group); err != nil {
		return nil, err
	}
	if g.cfg.TTL < 1 || g.cfg.TTL > 255 {
		return nil, fmt.Errorf("ttl %d is not between 1 and 255", g.cfg.TTL)
	}
	if len(secrets) == 0 {
		return nil, errors.New("neither a secret nor a cookie to sign with")
	}
	keys, err := gossipKeys(secrets)
	if err != nil {
		return nil, err
	}
	_, err = announcementOf(self, time.Now()).encode(keys[0])
	return keys, err
}

// secrets are those of the moment: the first signs, all are accepted.
func (g *GossipStrategy) secrets(self Self) [][]byte {
	switch {
	case len(g.cfg.Secret) > 0:
		return [][]byte{g.cfg.Secret}
	case self.Cookies != nil:
		return self.Cookies()
	}
	return nil
}

// announcementOf is what self says at now.
func announcementOf(self Self, now time.Time) announcement {
	a := announcement{
		at: now, incarnation: self.Incarnation, hidden: self.Hidden, mesh: self.Mesh, name: self.Name, addr: self.Addr,
	}
	_, _ = rand.Read(a.nonce[:]) // never fails
	return a
}

// gossipRun is one Run. All but the reader runs on Run's goroutine.
type gossipRun struct {
	*GossipStrategy
	self       Self
	found      func([]Candidate)
	fail       func(error)
	table      *gossipTable
	secrets    [][]byte // that the table's keys are derived from
	pause      pace.Backoff
	complaints map[error]complaint
	hurries    int
	lastSent   time.Time // of the last announcement
	nextSend   time.Time // of the next
}

// datagram is what the reader read: data, or why it stopped.
type datagram struct {
	data []byte
	from netip.Addr
	err  error
}

// session opens a socket and uses it until ctx ends, the socket fails (an error), or the interfaces change (nil).
func (r *gossipRun) session(ctx context.Context) error {
	sock, err := r.open(ctx, r.self)
	if err != nil {
		return err
	}
	received := make(chan datagram)
	quit := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() { read(sock, received, quit) })
	defer reader.Wait()
	defer func() { close(quit); _ = sock.close() }()

	next := time.NewTimer(0)
	defer next.Stop()
	r.nextSend = time.Now()
	check := time.NewTicker(gossipCheck)
	defer check.Stop()
	leaving := r.self.Draining
	for {
		select {
		case <-ctx.Done():
			if leaving != nil && r.leaving() {
				return r.farewell(sock) // both came at once
			}
			return nil
		case <-leaving:
			leaving = nil
			next.Stop()
			if err := r.farewell(sock); err != nil {
				return err
			}
		case d := <-received:
			if d.err != nil {
				return d.err
			}
			if r.receive(d) && !r.leaving() {
				r.hasten(next)
			}
		case <-next.C:
			if r.leaving() {
				continue
			}
			if err := r.announce(sock); err != nil {
				return err
			}
			r.schedule(next, time.Now().Add(r.nextPause()))
		case <-check.C:
			if r.table.expire(time.Now()) {
				r.found(r.table.list())
			}
			if sock.stale() {
				return nil
			}
		}
	}
}

// read hands datagrams on until quit is closed or the socket fails.
func read(sock gossipSocket, received chan<- datagram, quit <-chan struct{}) {
	buf := make([]byte, maxGossip+1)
	for {
		n, from, err := sock.receive(buf)
		d := datagram{data: append([]byte(nil), buf[:n]...), from: from, err: err}
		select {
		case received <- d:
		case <-quit:
			return
		}
		if err != nil {
			return
		}
	}
}

// leaving says whether the node is about to leave.
func (r *gossipRun) leaving() bool {
	select {
	case <-r.self.Draining:
		return true
	default:
		return false // also where nobody says
	}
}

// farewell says that this node is not to be a candidate any more. It says so several times, since a datagram may be lost.
func (r *gossipRun) farewell(sock gossipSocket) error {
	for range gossipFarewells {
		a := announcementOf(r.self, time.Now())
		a.leaving = true
		if err := r.send(sock, a); err != nil {
			return err
		}
	}
	return nil
}

// gossipFarewells is how often a node says that it leaves.
const gossipFarewells = 3

// announce says that this node is here.
func (r *gossipRun) announce(sock gossipSocket) error {
	if err := r.send(sock, announcementOf(r.self, time.Now())); err != nil {
		return err
	}
	r.lastSent = time.Now()
	r.pause.Reset()
	return nil
}

// send signs and sends one announcement, with the key of the moment.
func (r *gossipRun) send(sock gossipSocket, a announcement) error {
	r.refresh()
	data, err := a.encode(r.table.keys[0])
	if err != nil {
		return err
	}
	if err := sock.send(data); err != nil {
		return err
	}
	r.stats.sent.Add(1)
	return nil
}

// refresh takes over the keys of the moment, if there are any. It is called for every datagram, so it derives none anew
// while the secrets stay what they are.
func (r *gossipRun) refresh() {
	secrets := r.GossipStrategy.secrets(r.self)
	if len(secrets) == 0 || slices.EqualFunc(secrets, r.secrets, bytes.Equal) {
		return
	}
	if keys, err := gossipKeys(secrets); err == nil {
		r.secrets, r.table.keys = secrets, keys
	}
}

// schedule sets the time of the next announcement.
func (r *gossipRun) schedule(next *time.Timer, at time.Time) {
	r.nextSend = at
	next.Reset(time.Until(at))
}

// hasten brings the next announcement forward for a node that has just come, unless there was one a moment ago.
func (r *gossipRun) hasten(next *time.Timer) {
	at := time.Now()
	if quiet := r.lastSent.Add(gossipQuiet); at.Before(quiet) {
		at = quiet
	}
	if at = at.Add(mathrand.N(gossipAnswer)); at.Before(r.nextSend) {
		r.schedule(next, at)
	}
}

// nextPause is short for the first announcements and random later.
func (r *gossipRun) nextPause() time.Duration {
	if r.hurries < gossipHurries-1 {
		r.hurries++
		return pace.Jitter(gossipHurry)
	}
	return r.cfg.Interval/3 + mathrand.N(r.cfg.Interval*4/3+1)
}

// receive takes a datagram and says whether an unknown node sent it.
func (r *gossipRun) receive(d datagram) (unknown bool) {
	now := time.Now()
	r.stats.received.Add(1)
	r.refresh()
	changed, unknown, err := r.table.receive(d.data, d.from, now)
	r.count(err)
	if err != nil {
		r.complain(err, d.from, now)
	}
	if changed {
		r.found(r.table.list())
	}
	return unknown
}
