package node

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// Where this node has no route to a peer, because one of the two is no server of the cluster, the peer shows by its
// announcements: each of them that reaches this node says that the peer can be reached.

// featureAnnounced is what a node says of itself that has routes to nobody.
const featureAnnounced = "announced"

const (
	// announcedFor is how many of its intervals a node without a session counts as there after it was last heard of.
	announcedFor = 2 * membership.Misses
	// answerEvery is after how many intervals a node with routes tells one without again that it is there.
	answerEvery = 2
	// searchQuiet is how long no further node must have shown until this one believes that it knows all who answer.
	searchQuiet = 100 * time.Millisecond
	// linkPoll is how often to look for a link while there is none.
	linkPoll = 10 * time.Millisecond
	// maxAnnounced is the greatest interval that is believed of an announcement.
	maxAnnounced = time.Minute
	// doubtFor is how long nobody must have taken what is for a node until it is gone.
	doubtFor = 20 * time.Millisecond
)

// sighting is a node that has announced itself.
type sighting struct {
	last     time.Time // when it last did
	interval time.Duration
	answered time.Time // when it was last answered
}

// unanswered is told that nobody takes what is for a node whose address cannot be asked. Where two servers on the way lose
// their route for an instant, that comes to nothing: the node is probed, and gone if it goes on.
func (c *controller) unanswered(now time.Time, id membership.ID) {
	since, doubted := c.doubts[id]
	switch {
	case !doubted || now.Sub(since) > c.n.Tick():
		c.doubts[id] = now
		c.table.Suspect(now, id)
	case now.Sub(since) >= doubtFor:
		delete(c.doubts, id)
		c.unsee(id)
		c.table.NoResponder(now, id)
	}
}

// link looks whether anybody can be reached. A new link is used to announce this node, and the search for others begins
// anew.
func (c *controller) link() {
	if c.n.cfg.Mode.Routed() {
		return
	}
	linked := c.n.broker.Linked()
	if linked && !c.linked.Load() {
		c.announcer.changed(time.Now())
		c.expected.Store(0)
		c.quiet.Store(time.Now().Add(searchQuiet).UnixNano())
		c.patience.Store(time.Now().Add(settlePatience).UnixNano())
	}
	if c.linked.Swap(linked) != linked {
		c.n.changed()
	}
}

// reachable says whether peers can reach this node at all.
func (c *controller) reachable() bool { return c.n.cfg.Mode.Routed() || c.linked.Load() }

// expect is told that a session opens. The nodes that this peer is connected to are about to show as well: NATS tells
// them of this one's address, and not this one of theirs.
func (c *controller) expect(now time.Time, s membership.Session) {
	cfg := &c.n.cfg
	if !cfg.Mode.Routed() || cfg.Hidden || s.Peer.Hidden || cfg.AutoConnect != AutoAlways || len(cfg.Allow)+len(cfg.Deny) > 0 {
		return // who has routes to nobody goes by announcements; the others need not have all sessions that their peers have
	}
	if at := now.UnixNano(); at >= c.patience.Load() {
		c.expected.Store(0) // whoever has not shown since is not there
	}
	if others := int32(min(s.Others, 1<<16)); 1+others > c.expected.Load() {
		c.patience.Store(now.Add(settlePatience).UnixNano())
		c.expected.Store(1 + others)
	}
}

// searching says whether nodes that nobody named may yet show up: fewer have than some of them knew of, or one has just
// now. One that is down but not yet noticed holds it up no longer than settlePatience.
func (c *controller) searching(now time.Time) bool {
	at := now.UnixNano()
	switch {
	case c.n.cfg.Mode.Routed():
		return at < c.patience.Load() && c.n.visible() < int(c.expected.Load())
	case !c.linked.Load() || at < c.quiet.Load():
		return true
	}
	return c.seen.Load() < c.expected.Load() && at < c.patience.Load()
}

// announced takes an announcement, and says whether the table should hear of it.
func (c *controller) announced(now time.Time, m wire.Control, toAll bool) bool {
	direct := !c.n.cfg.Mode.Routed() || slices.Contains(m.From.Features, featureAnnounced)
	id := membership.IDOf(m.From)
	switch {
	case ID(id) == c.n.id || !direct:
		return true
	case !c.n.broker.Proven() && !c.n.proves(ID(id), m.Token):
		c.n.noteRefusal("", m.From.Name, broker.ErrCookie)
		if c.n.refusalLog.Allow(now) {
			c.n.log.Error().Str("peer", id.Name).Err(broker.ErrCookie).Msg("refused a candidate")
		}
		return false
	}
	s := c.sightings[id]
	if s == nil {
		s = &sighting{}
		c.sightings[id] = s
		c.seen.Store(int32(len(c.sightings)))
		c.quiet.Store(now.Add(searchQuiet).UnixNano())
		c.expected.Store(max(c.expected.Load(), 1+int32(min(m.Peers, 1<<16))))
		c.n.changed()
	}
	s.last, s.interval = now, min(max(m.Interval, minTick), maxAnnounced)
	if toAll && now.Sub(s.answered) >= c.answerPause(s) {
		s.answered = now
		c.publish(c.n.subjects.control(id.Incarnation), "", c.announcement().Encode())
	}
	return true
}

// answerPause is how long an answered node is not answered again. One that announces itself to all anyway needs to
// answer each newcomer only once.
func (c *controller) answerPause(s *sighting) time.Duration {
	if !c.n.cfg.Mode.Routed() {
		return announcedFor * s.interval
	}
	return answerEvery * s.interval
}

// announcement is what this node says of itself to those that have no route to it.
func (c *controller) announcement() *wire.Control {
	m := c.table.Announcement()
	m.Peers = uint64(c.n.visible())
	if !c.n.broker.Proven() {
		m.Token = c.n.proof()
	}
	return m
}

// proven says whether a message may open a session: where the wire does not prove that its sender has the cookie, its
// announcement must have. One that may not is counted: who knows the cookie says it again.
func (c *controller) proven(m wire.Control) bool {
	if c.n.broker.Proven() || m.Verb != wire.Knock && m.Verb != wire.Hello {
		return true
	}
	if c.sightings[membership.IDOf(m.From)] == nil {
		c.n.counters.unproven.Add(1)
		return false
	}
	return true
}

// forgetSightings lets those go that have not been heard of for long, and doubts that came to nothing.
func (c *controller) forgetSightings(now time.Time) {
	maps.DeleteFunc(c.doubts, func(_ membership.ID, since time.Time) bool { return now.Sub(since) > c.n.Tick() })
	for id, s := range c.sightings {
		if now.Sub(s.last) > announcedFor*s.interval {
			c.unsee(id)
			c.table.Gone(now, id, false)
		}
	}
}

// unsee forgets a sighting, so that the next announcement counts as new.
func (c *controller) unsee(id membership.ID) {
	delete(c.sightings, id)
	delete(c.doubts, id)
	c.seen.Store(int32(len(c.sightings)))
}

// proof shows that this node knows the cookie, for where the wire does not. It is for telling meshes apart, against
// mistakes: whoever reads the announcements of a cluster can repeat them. A node with a certificate signs its hello instead.
func (n *Node) proof() uint64 {
	list := n.cookies()
	if len(list) == 0 {
		return 0
	}
	return announcementProof(list[0], n.cfg.Mesh, n.id)
}

// proves says whether another's proof is of a cookie that this node accepts.
func (n *Node) proves(id ID, proof uint64) bool {
	list := n.cookies()
	return len(list) == 0 && proof == 0 || slices.ContainsFunc(list, func(cookie []byte) bool {
		return announcementProof(cookie, n.cfg.Mesh, id) == proof
	})
}

func announcementProof(cookie []byte, mesh string, id ID) uint64 {
	mac := hmac.New(sha256.New, cookie)
	mac.Write([]byte("kith/1/announcement\x00" + mesh + "\x00" + id.Name + "\x00"))
	mac.Write(binary.BigEndian.AppendUint64(nil, id.Incarnation))
	return binary.BigEndian.Uint64(mac.Sum(nil))
}

// features is what this node says of itself beside its name.
func (n *Node) features() (list []string) {
	if n.isStore() {
		list = append(list, featureStore)
	}
	if !n.cfg.Mode.Routed() {
		list = append(list, featureAnnounced)
	}
	return list
}
