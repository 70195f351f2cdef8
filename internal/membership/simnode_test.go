package membership

import (
	"fmt"
	"strings"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// life is one life of a node in the simulation. It implements Effects, as the control loop does.
type life struct {
	s     *sim
	i     int
	id    ID
	cfg   Config
	table *Table
	alive bool

	frozen  bool
	stalled []func()
	thawed  time.Time
	asleep  time.Duration // in sum
	gaveUp  map[ID]bool
	timer   int
	last    [2]time.Time // order of the control loop and of the dispatcher

	sessions map[uint64]*simSession // of the control loop
	conns    map[uint64]*simSession // of the dispatcher
	up       map[string]*simSession // of the dispatcher, by name
	history  []change
	failed   []failure
	acked    int
	judged   int // peers that were given up for silence
	// lastHeard is when the peer of the session that was closed last had been heard.
	lastHeard time.Time
}

// simSession is one side of a session.
type simSession struct {
	conn         uint64
	peer         ID
	caller       bool
	up           bool
	next, expect uint64
	sent         uint64
	received     uint64
	heard        time.Time
	slept        time.Duration // what the life had slept when it was heard
}

func (x *simSession) String() string {
	if x == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s/%x by session %d", x.peer.Name, x.peer.Incarnation, x.conn)
}

// change is a nodeup or a nodedown.
type change struct {
	up   bool
	peer ID
	conn uint64
	why  Why
	at   time.Time
}

type failure struct {
	id  ID
	why Why
}

// control has f run on the control loop; dispatch has it run on the dispatcher. Both keep the order.
func (n *life) control(f func()) {
	n.enter(0, func() { f(); n.tick() })
}

func (n *life) dispatch(f func()) { n.enter(1, f) }

func (n *life) enter(loop int, f func()) {
	at := n.s.now.Add(n.s.random(200 * time.Microsecond))
	if at.Before(n.last[loop]) {
		at = n.last[loop]
	}
	n.last[loop] = at
	n.s.at(at, func() { n.execute(f) })
}

func (n *life) execute(f func()) {
	switch {
	case !n.alive:
	case n.frozen:
		n.stalled = append(n.stalled, f)
	default:
		f()
	}
}

// freeze stops a life, as SIGSTOP does.
func (n *life) freeze(d time.Duration) {
	if n.frozen || !n.alive {
		return
	}
	n.frozen = true
	n.s.log("%s freezes for %v", n.id.Name, d)
	n.s.after(d, func() {
		if !n.frozen {
			return
		}
		n.frozen, n.thawed = false, n.s.now
		n.asleep += d
		n.s.log("%s thaws", n.id.Name)
		list := n.stalled
		n.stalled = nil
		for _, f := range list {
			n.execute(f)
		}
	})
}

// tick is what the control loop does after each step.
func (n *life) tick() {
	for conn, s := range n.sessions {
		if !s.heard.IsZero() {
			n.table.Heard(conn, s.heard)
		}
	}
	next := n.table.Tick(n.s.now)
	if !next.After(n.s.now) {
		n.s.fail("Tick wants to be called at once again")
	}
	n.timer++
	generation := n.timer
	n.s.at(next, func() {
		n.execute(func() {
			if n.timer == generation {
				n.tick()
			}
		})
	})
	n.check()
}

// check looks at what must hold after each step.
func (n *life) check() {
	live := map[string]uint64{}
	for _, st := range n.table.Status(n.s.now) {
		if st.Phase >= Expecting {
			if other, ok := live[st.Info.Name]; ok {
				n.s.fail("%s has sessions %d and %d with %s", n.id.Name, other, st.Conn, st.Info.Name)
			}
			live[st.Info.Name] = st.Conn
			if n.sessions[st.Conn] == nil {
				n.s.fail("%s: session %d is %v in the table and unknown to the node", n.id.Name, st.Conn, st.Phase)
			}
			if st.Heard.After(n.s.now) {
				n.s.fail("%s has heard %s %v in the future", n.id.Name, st.Info.Name, st.Heard.Sub(n.s.now))
			}
			if silent := n.s.now.Sub(st.Heard); silent > Misses*st.Interval+time.Millisecond {
				n.s.fail("%s is silent for %v and still counts for %s", st.Info.Name, silent, n.id.Name)
			}
		}
	}
	for conn := range n.sessions {
		if n.table.conn[conn] == nil {
			n.s.fail("%s: session %d is unknown to the table", n.id.Name, conn)
		}
	}
}

// nobody is told that a message found no taker.
func (n *life) nobody(id ID) {
	j := n.s.index(id.Name)
	p, way := n.s.pair(n.i, j)
	target := n.s.lives[j]
	present := target != nil && target.id == id && target.alive
	if present && p.routed || n.gaveUp[id] {
		return
	}
	n.s.after(time.Millisecond, func() {
		if p.cut[way] || p.cut[1-way] || present && target.frozen {
			return // no answer: nothing is known
		}
		n.control(func() {
			if present && target.alive && !p.broken {
				n.table.Confirm(n.s.now, id)
			} else {
				n.table.NoResponder(n.s.now, id)
			}
		})
	})
}

// Control implements Effects.
func (n *life) Control(to ID, c wire.Control) {
	n.s.send(n, to, control, c.Verb == wire.Tick || c.Verb == wire.Probe, func(o *life) {
		o.control(func() {
			o.hear(n.id)
			o.table.Receive(n.s.now, c, false)
		})
	})
}

// hear notes for the checks when a peer was last heard.
func (n *life) hear(id ID) {
	for _, s := range n.sessions {
		if s.peer == id {
			s.heard, s.slept = n.s.now, n.asleep
		}
	}
}

// Ordered implements Effects.
func (n *life) Ordered(to ID, c wire.Control) {
	n.s.send(n, to, ordered, false, func(o *life) { o.dispatch(func() { o.received(c) }) })
}

// received takes a control message in order.
func (n *life) received(c wire.Control) {
	if c.Verb != wire.Bye {
		n.control(func() {
			n.hear(IDOf(c.From))
			n.table.Receive(n.s.now, c, true)
		})
		return
	}
	if s := n.conns[c.Conn]; s != nil && s.peer.Incarnation == c.From.Incarnation {
		n.lower(s, Why(c.Why))
		n.control(func() { delete(n.sessions, c.Conn); n.table.End(n.s.now, c.Conn, Why(c.Why)) })
	}
}

// frames sends numbered frames; none is the message that starts a session.
func (n *life) frames(s *simSession, count uint64) {
	first := s.next
	s.next += count
	s.sent = s.next - 1
	n.s.send(n, s.peer, ordered, false, func(o *life) {
		o.dispatch(func() { o.batch(s.conn, first, count) })
	})
}

func (n *life) batch(conn, first, count uint64) {
	s := n.conns[conn]
	if s == nil {
		return
	}
	s.heard, s.slept = n.s.now, n.asleep
	if !s.up {
		n.raise(s)
	}
	if first != s.expect {
		n.gap(s)
		return
	}
	s.expect += count
	s.received = s.expect - 1
}

func (n *life) gap(s *simSession) {
	n.lower(s, Gap)
	n.control(func() { delete(n.sessions, s.conn); n.table.Ended(n.s.now, s.conn, Gap, "a gap") })
}

func (n *life) raise(s *simSession) {
	if old := n.up[s.peer.Name]; old != nil {
		n.s.fail("%s: session %d comes up while %d is", n.id.Name, s.conn, old.conn)
	}
	s.up = true
	n.up[s.peer.Name] = s
	n.history = append(n.history, change{up: true, peer: s.peer, conn: s.conn, at: n.s.now})
	n.s.log("%s: nodeup %v", n.id.Name, s)
	if s.caller {
		n.frames(s, 0)
	}
	n.control(func() { n.table.Opened(n.s.now, s.conn) })
}

func (n *life) lower(s *simSession, why Why) {
	if n.conns[s.conn] != s {
		return
	}
	delete(n.conns, s.conn)
	if !s.up {
		return
	}
	s.up = false
	delete(n.up, s.peer.Name)
	switch why {
	case ConnectionClosed, TickTimeout, Shutdown, Disconnect, Gap:
	default:
		n.s.fail("%s: nodedown of %v for %q", n.id.Name, s, why)
	}
	n.history = append(n.history, change{peer: s.peer, conn: s.conn, why: why, at: n.s.now})
	n.s.log("%s: nodedown %v: %s", n.id.Name, s, why)
}

// disconnect is what Node.Disconnect does.
func (n *life) disconnect(name string) {
	s := n.up[name]
	if s == nil {
		return
	}
	n.s.log("%s disconnects %s", n.id.Name, name)
	n.goodbye(s, Disconnect)
	n.dispatch(func() {
		if n.conns[s.conn] == s {
			n.lower(s, Disconnect)
			n.control(func() { delete(n.sessions, s.conn); n.table.Ended(n.s.now, s.conn, Disconnect, "") })
		}
	})
}

func (n *life) goodbye(s *simSession, why Why) {
	n.Ordered(s.peer, wire.Control{
		Verb: wire.Bye, Conn: s.conn, Why: string(why), From: wire.Info{Name: n.id.Name, Incarnation: n.id.Incarnation},
	})
}

// leave is what Node.Shutdown does, up to the end of the process.
func (n *life) leave() {
	n.s.log("%s leaves", n.id.Name)
	n.control(func() { n.table.Leave(n.s.now) })
	for _, s := range n.up {
		n.goodbye(s, Shutdown)
	}
	n.s.after(100*time.Millisecond, func() {
		if n.s.lives[n.i] == n {
			n.s.kill(n.i)
		}
	})
}

func (n *life) newSession(x Session, caller bool) *simSession {
	if n.sessions[x.Conn] != nil {
		n.s.fail("%s: session %d opens twice", n.id.Name, x.Conn)
	}
	s := &simSession{conn: x.Conn, peer: IDOf(x.Peer), caller: caller, next: 1, expect: 1, heard: n.s.now, slept: n.asleep}
	n.sessions[x.Conn] = s
	return s
}

// Expect implements Effects.
func (n *life) Expect(x Session) {
	s := n.newSession(x, false)
	n.dispatch(func() { n.conns[s.conn] = s })
}

// Open implements Effects.
func (n *life) Open(x Session) {
	s := n.newSession(x, true)
	n.dispatch(func() { n.conns[s.conn] = s; n.raise(s) })
}

// Forget implements Effects.
func (n *life) Forget(conn uint64, why Why) {
	if n.sessions[conn] == nil {
		n.s.fail("%s forgets session %d, which it does not have", n.id.Name, conn)
	}
	delete(n.sessions, conn)
	n.dispatch(func() {
		if s := n.conns[conn]; s != nil {
			n.lower(s, why)
		}
	})
}

// Close implements Effects.
func (n *life) Close(conn uint64, why Why, evidence string) {
	s := n.sessions[conn]
	if s == nil {
		n.s.fail("%s closes session %d, which it does not have: %s", n.id.Name, conn, evidence)
		return
	}
	if why == TickTimeout && strings.HasPrefix(evidence, "nothing heard") { // not by the peer's word
		n.judged++
		n.silence(s)
	}
	n.lastHeard = s.heard
	delete(n.sessions, conn)
	n.dispatch(func() { n.lower(s, why) })
}

// silence checks that a peer was silent for four of its intervals, not counting long sleep of the judge.
func (n *life) silence(s *simSession) {
	interval := n.table.peer[s.peer].tickInterval(n.cfg.Interval)
	silent := n.s.now.Sub(s.heard)
	if silent < Misses*interval {
		n.s.fail("%s gives %v up after %v, with ticks of %v", n.id.Name, s, silent, interval)
	}
	if awake := silent - (n.asleep - s.slept); n.asleep-s.slept > 2*interval && awake < 2*interval {
		n.s.fail("%s gives %v up after %v awake, with ticks of %v", n.id.Name, s, awake, interval)
	}
}

// Acked implements Effects.
func (n *life) Acked(uint64, uint64, uint64) { n.acked++ }

// Received implements Effects.
func (n *life) Received(conn uint64) uint64 {
	if s := n.sessions[conn]; s != nil {
		return s.received
	}
	return 0
}

// Sent implements Effects.
func (n *life) Sent(conn uint64) uint64 {
	if s := n.sessions[conn]; s != nil {
		return s.sent
	}
	return 0
}

// Taken implements Effects.
func (n *life) Taken(uint64) (taken, window uint64) { return 0, n.cfg.Window }

// Mark implements Effects.
func (n *life) Mark(conn uint64) {
	s := n.sessions[conn]
	if s == nil {
		n.s.fail("%s marks session %d, which it does not have", n.id.Name, conn)
		return
	}
	last := s.sent
	n.s.send(n, s.peer, ordered, false, func(o *life) {
		o.dispatch(func() {
			if x := o.conns[conn]; x != nil && x.up && last >= x.expect {
				o.gap(x)
			}
		})
	})
}

// Failed implements Effects.
func (n *life) Failed(id ID, why Why, _ string) { n.failed = append(n.failed, failure{id, why}) }

// ByeSeen implements Effects.
func (n *life) ByeSeen(uint64) {}

// Draining implements Effects.
func (n *life) Draining(uint64) {}
