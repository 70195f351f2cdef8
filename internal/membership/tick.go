package membership

import (
	"fmt"
	"sort"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// Tick does what is due: sends ticks, counts misses, repeats what was not answered. It returns when it wants to be
// called again; earlier calls do no harm.
func (t *Table) Tick(now time.Time) time.Time {
	t.excuse(now)
	next := now.Add(t.cfg.Interval / Misses)
	for _, p := range t.peer {
		if p.phase >= Expecting {
			t.keep(now, p)
		}
		t.opening(now, p)
		next = earliest(next, t.due(now, p))
	}
	if floor := now.Add(time.Millisecond); next.Before(floor) {
		next = floor
	}
	t.wake = next
	t.prune()
	return next
}

// maxIdle is how many lives without a session are remembered.
const maxIdle = 4096

// prune forgets lives that are of no use any more, where there are many: nodes come and go under new names.
func (t *Table) prune() {
	if len(t.peer) < maxIdle {
		return
	}
	for id, p := range t.peer {
		if p.phase == Idle && !p.seen && !p.wanted {
			delete(t.peer, id)
		}
	}
}

// excuse makes up for time in which this node did not run: a checker that wakes more than one interval late has no
// ground to say that others were silent.
func (t *Table) excuse(now time.Time) {
	if t.wake.IsZero() {
		return
	}
	late := now.Sub(t.wake)
	for _, p := range t.peer {
		// Whom it heard since it woke owes nothing, so the sum never lies in the future.
		if p.phase >= Expecting && late > p.tickInterval(t.cfg.Interval) {
			p.heard = earliest(now, p.heard.Add(late))
			p.since = earliest(now, p.since.Add(late))
		}
	}
}

// due is when a peer next needs Tick. While there is a session that is several times in each of its intervals: how late
// Tick comes tells how long this node did not run.
func (t *Table) due(now time.Time, p *peer) time.Time {
	switch {
	case p.phase >= Expecting:
		interval := p.tickInterval(t.cfg.Interval)
		at := earliest(p.heard.Add(Misses*interval), now.Add(interval/Misses))
		if p.phase == Up {
			at = earliest(at, p.nextTick)
		}
		if p.suspect {
			at = earliest(at, p.probeAt)
		}
		return at
	case p.phase == Calling || t.wants(p):
		return p.nextTry
	}
	return farFuture
}

var farFuture = time.Unix(1<<40, 0)

// keep is Tick's part for a peer with a session.
func (t *Table) keep(now time.Time, p *peer) {
	interval := p.tickInterval(t.cfg.Interval)
	silent := now.Sub(p.heard)
	if silent >= Misses*interval {
		t.down(now, p, TickTimeout, fmt.Sprintf("nothing heard for %v: %d ticks of %v missed",
			silent.Round(time.Millisecond), Misses, interval))
		return
	}
	if p.suspect && !now.Before(p.probeAt) {
		t.probe(now, p)
	}
	if p.phase == Up && !now.Before(p.nextTick) {
		t.tick(now, p)
	}
}

// tick sends one tick, and plans the next: after nine tenths to a whole interval, so that the ticks of many nodes
// spread, and four missed ones fit in four intervals.
func (t *Table) tick(now time.Time, p *peer) {
	p.token++
	p.tickSent = now
	c := t.message(wire.Tick, p.conn)
	c.Interval, c.Token = t.cfg.Interval, p.token
	c.Last = t.out.Sent(p.conn)
	c.Taken, c.Window = t.out.Taken(p.conn)
	t.out.Control(p.id, c)
	p.nextTick = now.Add(time.Duration(float64(t.cfg.Interval) * (0.9 + 0.1*t.cfg.Jitter())))
}

// probe asks a suspect whether it is there, again after 1, 2, 4 ... ms: the broker may need a moment to forget the
// interest of a peer whose connection has just closed.
func (t *Table) probe(now time.Time, p *peer) {
	t.out.Control(p.id, t.message(wire.Probe, p.conn))
	p.probeAt = now.Add(min(time.Millisecond<<min(p.probes, 20), t.cfg.Interval))
	p.probes++
}

// SetInterval changes the time between ticks. Every peer is told at once, before it could miss one.
func (t *Table) SetInterval(now time.Time, d time.Duration) {
	t.cfg.Interval = d
	for _, p := range t.peer {
		if p.phase >= Expecting {
			t.tick(now, p)
		}
	}
}

// SetWindow changes what a new peer may have under way at first.
func (t *Table) SetWindow(w uint64) { t.cfg.Window = w }

func (p *peer) tickInterval(own time.Duration) time.Duration {
	if p.interval > 0 {
		return p.interval
	}
	return own
}

// setInterval believes what a peer says of its interval within reason: one of nothing would keep this node busy, and four
// of the longest that can be written are no time at all.
func (p *peer) setInterval(d time.Duration) {
	if d > 0 {
		p.interval = min(max(d, minInterval), maxInterval)
	}
}

const (
	minInterval = 10 * time.Millisecond
	maxInterval = 24 * time.Hour
)

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Status is what the table knows of one life of a node.
type Status struct {
	Info     wire.Info
	Phase    Phase
	Conn     uint64
	Seen     bool
	Since    time.Time     // of the session
	Heard    time.Time     // last sign of life
	Missed   int           // ticks, so far
	RTT      time.Duration // of the last tick; zero if not measured yet
	Interval time.Duration // the peer's
	Draining bool          // it is about to leave
	Prev     Why           // how the session before ended
	PrevEnd  time.Time
}

// Status returns what is known, by name.
func (t *Table) Status(now time.Time) []Status {
	list := make([]Status, 0, len(t.peer))
	for _, p := range t.peer {
		s := Status{
			Info: p.info, Phase: p.phase, Conn: p.conn, Seen: p.seen, Since: p.since, Heard: p.heard, RTT: p.rtt,
			Interval: p.tickInterval(t.cfg.Interval), Draining: p.draining, Prev: p.prevWhy, PrevEnd: p.prevEnd,
		}
		if p.phase >= Expecting {
			s.Missed = int(now.Sub(p.heard) / s.Interval)
		}
		list = append(list, s)
	}
	sort.Slice(list, func(i, j int) bool { return less(IDOf(list[i].Info), IDOf(list[j].Info)) })
	return list
}

// Find returns the life of a name that a wish for a session should go to: the one that is connected, else one that
// can be reached.
func (t *Table) Find(name string) (ID, Phase, bool) {
	if p := t.live[name]; p != nil {
		return p.id, p.phase, true
	}
	for id, p := range t.peer {
		if id.Name == name && (p.seen || p.phase == Calling) {
			return id, p.phase, true
		}
	}
	return ID{}, Idle, false
}

// Pending is the number of nodes that can be reached, should be connected, have not refused, and are not connected
// yet.
func (t *Table) Pending() int {
	n := 0
	for _, p := range t.peer {
		if p.phase != Up && p.refused == 0 && t.wants(p) && p.id.Name != t.cfg.Self.Name {
			n++
		}
	}
	return n
}

// ByIncarnation finds a life by its incarnation alone, as the transport tells it.
func (t *Table) ByIncarnation(incarnation uint64) (ID, bool) {
	for id := range t.peer {
		if id.Incarnation == incarnation {
			return id, true
		}
	}
	return ID{}, false
}

// Knows says whether the table has a record of that life of a node.
func (t *Table) Knows(id ID) bool { return t.peer[id] != nil }

// TickNow sends a tick in one session ahead of its time. Its answer brings the peer's latest acknowledgement.
func (t *Table) TickNow(now time.Time, conn uint64) {
	if p := t.conn[conn]; p != nil && p.phase >= Expecting {
		t.tick(now, p)
	}
}

// Addr is where a node says that it listens, or empty.
func (t *Table) Addr(id ID) string {
	if p := t.peer[id]; p != nil {
		return p.info.Addr
	}
	return ""
}

// Shadows is the number of visible nodes that can be reached and have no session: whatever they have subscribed to
// still reaches their broker, where nothing bounds it.
func (t *Table) Shadows() int {
	n := 0
	for _, p := range t.peer {
		if p.seen && p.phase != Up && !p.info.Hidden {
			n++
		}
	}
	return n
}
