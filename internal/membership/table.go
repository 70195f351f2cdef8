package membership

import (
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// Table is the state of membership of one node. It is owned by one goroutine.
type Table struct {
	cfg  Config
	out  Effects
	peer map[ID]*peer
	live map[string]*peer // by name: the life that has a session, or is about to
	conn map[uint64]*peer
	past graves
	once map[string]bool // names whose session was lost, for AutoOnce
	// leaving says that this node takes no more sessions.
	leaving bool
	wake    time.Time // when Tick was to be called next
}

// peer is what is known of one life of another node.
type peer struct {
	id     ID
	info   wire.Info
	phase  Phase
	conn   uint64
	window uint64
	others uint64 // how many visible nodes it is connected to besides this one, when it last opened a session

	seen   bool // reachable, as far as the transport knows
	wanted bool // somebody waits for a session
	barred bool // ended by Disconnect: only a wish opens it again
	left   bool // it said that it leaves: nothing opens it again
	// draining says that it is about to leave.
	draining bool

	// opening
	began   time.Time
	nextTry time.Time
	tries   int
	hello   [2]uint64 // connection id of the last hello, by account
	welcome [2]bool
	refused int // refusals in a row
	// Where nodes have certificates: the challenge that its next hello must answer, the one that ours answers, and the
	// session whose opening it has signed.
	asked, answer, proved uint64

	// while there is a session
	since    time.Time
	heard    time.Time
	interval time.Duration // the peer's own
	nextTick time.Time
	token    uint64
	tickSent time.Time
	rtt      time.Duration
	behind   uint64 // what had arrived when the last tick said that there is more
	lagging  bool
	suspect  bool // its connection has closed: probe
	probeAt  time.Time
	probes   int
	// confirmed is when it last answered a probe.
	confirmed time.Time

	prev    uint64 // the session before
	prevWhy Why
	prevEnd time.Time
}

// The two accounts, as indexes.
const (
	control = 0
	ordered = 1
)

// New returns an empty table.
func New(cfg Config, out Effects) *Table {
	return &Table{
		cfg: cfg, out: out,
		peer: map[ID]*peer{}, live: map[string]*peer{}, conn: map[uint64]*peer{},
		past: graves{at: map[uint64]grave{}}, once: map[string]bool{},
	}
}

func (t *Table) self() ID { return IDOf(t.cfg.Self) }

// Settle says that the start of this node is complete: its name is its own from now on.
func (t *Table) Settle() { t.cfg.Self.Settled = true }

// Leave says that this node is leaving: it opens and takes no more sessions. Attempts end here, and the peers are told.
func (t *Table) Leave(now time.Time) {
	t.leaving = true
	for _, p := range t.peer {
		switch p.phase {
		case Calling:
			if p.conn != 0 {
				t.bye(p, Shutdown, "this node is leaving")
			}
			t.stopCalling(p)
			t.out.Failed(p.id, Leaving, "this node is leaving")
		case Expecting:
			t.bye(p, Shutdown, "this node is leaving")
			t.out.Forget(p.conn, Shutdown)
			t.over(now, p, Shutdown)
		}
	}
}

// get returns the record of a life, made if need be.
func (t *Table) get(info wire.Info) *peer {
	id := IDOf(info)
	p := t.peer[id]
	if p == nil {
		p = &peer{id: id, info: info}
		t.peer[id] = p
	}
	return p
}

// Seen says that a node can be reached: a route to it is up, or it announced itself. It opens a session where both
// nodes are visible and nobody asked for none.
func (t *Table) Seen(now time.Time, info wire.Info) {
	if IDOf(info) == t.self() {
		return
	}
	p := t.get(info)
	p.info.Hidden = info.Hidden
	if p.seen {
		return
	}
	p.seen = true
	p.nextTry = now
	t.consider(now, p)
}

// Gone says that the transport has no way to the node any more. byPeer is true when the other side closed it: then the
// node is probed, and is down if nobody is there. Otherwise only ticks decide.
func (t *Table) Gone(now time.Time, id ID, byPeer bool) {
	p := t.peer[id]
	if p == nil {
		return
	}
	p.seen = false
	switch {
	case p.phase == Up || p.phase == Expecting:
		if byPeer {
			t.Suspect(now, id)
		}
	case p.left || !p.wanted && !p.barred:
		t.drop(p)
	}
}

// Suspect has a node probed: its connection has closed.
func (t *Table) Suspect(now time.Time, id ID) {
	p := t.peer[id]
	if p == nil || p.conn == 0 || p.phase < Expecting {
		return
	}
	p.suspect, p.probes, p.probeAt = true, 0, now
	t.probe(now, p)
}

// Connect asks for a session. The answer is Open or Failed, or the session that is there.
func (t *Table) Connect(now time.Time, id ID) {
	if id == t.self() {
		return
	}
	if t.leaving {
		t.out.Failed(id, Leaving, "this node is leaving")
		return
	}
	p := t.get(wire.Info{Name: id.Name, Incarnation: id.Incarnation})
	if p.phase == Up {
		return
	}
	p.wanted, p.barred, p.refused = true, false, 0
	if p.phase == Idle {
		t.begin(now, p)
	}
}

// End is told that a session is over because its last message, a goodbye in order, has been delivered; the
// dispatcher has already closed it. It answers the goodbye.
func (t *Table) End(now time.Time, conn uint64, why Why) {
	p := t.conn[conn]
	if p == nil {
		return
	}
	t.out.Control(p.id, t.message(wire.ByeSeen, conn))
	t.over(now, p, why)
}

// Ended is told that this side has closed a session by itself: by Disconnect, or for a gap that the dispatcher found.
// A gap is told to the peer.
func (t *Table) Ended(now time.Time, conn uint64, why Why, detail string) {
	p := t.conn[conn]
	if p == nil {
		return
	}
	if why == Gap {
		t.bye(p, why, detail)
	}
	t.over(now, p, why)
}

// Opened is told that the first message of an expected session has arrived.
func (t *Table) Opened(now time.Time, conn uint64) {
	p := t.conn[conn]
	if p == nil || p.phase != Expecting {
		return
	}
	t.up(now, p)
}

// Heard is told when a session last brought anything on the ordered account.
func (t *Table) Heard(conn uint64, at time.Time) {
	if p := t.conn[conn]; p != nil && at.After(p.heard) {
		p.heard = at
	}
}

// up makes the session count.
func (t *Table) up(now time.Time, p *peer) {
	p.phase, p.since, p.heard = Up, now, now
	p.wanted, p.refused, p.suspect = false, 0, false
	p.nextTick = now
}

// down ends a session from this side, after what has arrived of it, and tells the peer if it may still listen.
func (t *Table) down(now time.Time, p *peer, why Why, evidence string) {
	conn := p.conn
	if p.phase == Expecting {
		t.out.Forget(conn, why)
	} else {
		t.out.Close(conn, why, evidence)
	}
	if why == TickTimeout || why == Gap {
		t.bye(p, why, evidence)
	}
	t.over(now, p, why)
}

// over forgets a session and decides what becomes of the peer.
func (t *Table) over(now time.Time, p *peer, why Why) {
	delete(t.conn, p.conn)
	if t.live[p.id.Name] == p {
		delete(t.live, p.id.Name)
	}
	t.past.add(now, p.conn, why)
	if t.cfg.Auto == AutoOnce && p.phase == Up {
		if len(t.once) >= maxIdle {
			clear(t.once) // rather too eager than without bound
		}
		t.once[p.id.Name] = true
	}
	if p.proved == p.conn {
		p.proved = 0 // a copy of what opened it opens nothing any more
	}
	p.prev, p.prevWhy, p.prevEnd = p.conn, why, now
	p.phase, p.conn, p.suspect, p.lagging = Idle, 0, false, false
	p.welcome = [2]bool{} // hello stays: half of the next one may have come already
	switch why {
	case Disconnect:
		p.barred = true
	case Shutdown:
		p.left = true
		if !p.seen {
			t.drop(p)
		}
	default:
		if !p.seen && !p.wanted {
			t.drop(p)
		}
	}
	p.nextTry = now.Add(t.cfg.Interval / 10)
}

func (t *Table) drop(p *peer) {
	if p.phase == Calling {
		t.stopCalling(p)
	}
	delete(t.peer, p.id)
}

func (t *Table) bye(p *peer, why Why, detail string) {
	c := t.message(wire.Bye, p.conn)
	c.Why, c.Detail = string(why), detail
	t.out.Control(p.id, c)
}

// message is a control message of this node, with no more of itself than its incarnation and name.
func (t *Table) message(v wire.Verb, conn uint64) wire.Control {
	return wire.Control{
		Verb: v, Conn: conn,
		From: wire.Info{
			Name: t.cfg.Self.Name, Incarnation: t.cfg.Self.Incarnation, Hidden: t.cfg.Self.Hidden, Draining: t.cfg.Self.Draining,
		},
	}
}

// SetAddr completes what this node says of itself, once its address is known.
func (t *Table) SetAddr(addr string) { t.cfg.Self.Addr = addr }

// Announcement is the message in which this node tells all that it exists.
func (t *Table) Announcement() *wire.Control {
	return &wire.Control{Verb: wire.Announce, From: t.cfg.Self, Interval: t.cfg.Interval}
}
