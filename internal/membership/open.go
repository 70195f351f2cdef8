package membership

import (
	"fmt"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// consider opens a session with a candidate where the rules say so and nothing stands against it.
func (t *Table) consider(now time.Time, p *peer) {
	if p.phase == Idle && t.wants(p) && !now.Before(p.nextTry) {
		t.begin(now, p)
	}
}

// wants says whether a session with p should exist: somebody asked, or both are visible and nobody ended it on
// purpose.
func (t *Table) wants(p *peer) bool {
	auto := t.Unasked(p.id.Name) && p.seen && !p.barred && !t.cfg.Self.Hidden && !p.info.Hidden
	return (auto || p.wanted) && !p.left && !t.leaving
}

// Unasked says whether the configuration lets a session with that name open without a wish.
func (t *Table) Unasked(name string) bool {
	return t.cfg.Auto == AutoAlways || t.cfg.Auto == AutoOnce && !t.once[name]
}

// begin starts an attempt.
func (t *Table) begin(now time.Time, p *peer) {
	if err := t.admit(p.info); err != nil {
		t.refusedBy(now, p, NotAllowed, err.Error())
		return
	}
	if t.taken(now, p) {
		return
	}
	p.phase, p.began, p.tries = Calling, now, 0
	p.conn, p.welcome, p.answer = 0, [2]bool{}, 0
	t.call(now, p)
}

// taken reports whether another life holds the peer's name. That life is probed: if nobody is there, it is down, and
// the newer one gets its turn at the next try.
func (t *Table) taken(now time.Time, p *peer) bool {
	old := t.live[p.id.Name]
	if old == nil || old == p {
		return false
	}
	if !old.suspect {
		t.Suspect(now, old.id)
	}
	p.nextTry = now.Add(t.pause(0))
	return true
}

// call sends hello or knock, and says when to do so again.
func (t *Table) call(now time.Time, p *peer) {
	switch {
	case p.id.Name == t.cfg.Self.Name:
		// A second life of our own name: a knock makes the settled one of the two refuse.
		t.out.Control(p.id, t.introduce(wire.Knock, p))
	case less(t.self(), p.id):
		if p.conn == 0 {
			p.conn = t.cfg.NewConn()
			t.conn[p.conn] = p
		}
		c := t.introduce(wire.Hello, p)
		t.out.Control(p.id, c)
		t.out.Ordered(p.id, c)
	default:
		t.out.Control(p.id, t.introduce(wire.Knock, p))
	}
	p.nextTry = now.Add(t.pause(p.tries))
	p.tries++
}

// pause is the time until the n-th repetition: 2 ms doubling up to one tick.
func (t *Table) pause(n int) time.Duration {
	d := 2 * time.Millisecond << min(n, 20)
	return min(d, t.cfg.Interval)
}

// introduce is a message that opens a session.
func (t *Table) introduce(v wire.Verb, p *peer) wire.Control {
	c := wire.Control{
		Verb: v, From: t.cfg.Self, Conn: p.conn, Window: t.cfg.Window, Interval: t.cfg.Interval,
		Prev: p.prev, PrevWhy: string(p.prevWhy), Peers: t.others(p),
	}
	t.prove(&c, p)
	return c
}

// others counts the visible nodes that have sessions, besides those of p's name.
func (t *Table) others(p *peer) (count uint64) {
	for name, other := range t.live {
		if other.phase == Up && !other.info.Hidden && name != p.id.Name {
			count++
		}
	}
	return count
}

func (p *peer) session() Session {
	return Session{Peer: p.info, Conn: p.conn, Window: p.window, Others: p.others}
}

// stopCalling gives an attempt up.
func (t *Table) stopCalling(p *peer) {
	delete(t.conn, p.conn)
	p.phase, p.conn, p.welcome = Idle, 0, [2]bool{}
}

// opening is Tick's part for peers that are being called or expected.
func (t *Table) opening(now time.Time, p *peer) {
	switch p.phase {
	case Idle:
		t.consider(now, p)
	case Calling:
		if now.Before(p.nextTry) {
			return
		}
		if now.Sub(p.began) < t.cfg.Setup {
			t.call(now, p)
			return
		}
		t.stopCalling(p)
		p.nextTry = now.Add(t.cfg.Interval)
		if p.wanted || p.tries > 0 {
			p.wanted = false
			t.out.Failed(p.id, NoAnswer, fmt.Sprintf("no answer within %v", t.cfg.Setup))
		}
		if !p.seen {
			t.drop(p)
		}
	case Expecting:
		if now.Sub(p.since) > t.cfg.Setup {
			t.out.Forget(p.conn, ConnectionClosed)
			t.over(now, p, NoAnswer)
		}
	}
}

func (t *Table) admit(i wire.Info) error {
	if t.cfg.Admit == nil {
		return nil
	}
	return t.cfg.Admit(i)
}

// onKnock answers a node that wants to be called.
func (t *Table) onKnock(now time.Time, c wire.Control) {
	if !t.welcomeName(now, c) {
		return
	}
	p := t.get(c.From)
	t.learn(p, c)
	if p.phase == Up && c.Prev == p.conn && parted(Why(c.PrevWhy)) {
		return // its goodbye in order is on its way, behind its frames; it will knock again
	}
	p.barred = false
	if p.phase == Up || p.phase == Expecting {
		// A node that has a session does not knock: it has ended ours.
		t.superseded(now, p, c)
	}
	if p.phase == Idle {
		t.begin(now, p)
	}
}

// onHello takes a call. It is answered once it has come on both accounts.
func (t *Table) onHello(now time.Time, c wire.Control, account int) {
	if c.Conn == 0 || !t.welcomeName(now, c) {
		return
	}
	p := t.get(c.From)
	if other := t.conn[c.Conn]; other != nil && other != p {
		return // the id is another's
	}
	if p.conn == c.Conn && (p.phase == Expecting || p.phase == Up) && t.cfg.Prover != nil {
		t.greet(p)
		return
	}
	if !t.proven(now, p, c) {
		return
	}
	t.learn(p, c)
	p.hello[account] = c.Conn
	if p.hello[control] != c.Conn || p.hello[ordered] != c.Conn {
		return
	}
	if p.conn == c.Conn && (p.phase == Expecting || p.phase == Up) {
		t.greet(p) // the answer was lost, or crossed with this
		return
	}
	if t.past.has(c.Conn) {
		return // an echo of a session that is over
	}
	switch p.phase {
	case Up, Expecting:
		t.superseded(now, p, c)
	case Calling:
		t.stopCalling(p)
	}
	if t.taken(now, p) {
		return
	}
	p.phase, p.conn, p.window = Expecting, c.Conn, c.Window
	p.since, p.heard, p.barred = now, now, false
	t.conn[p.conn], t.live[p.id.Name] = p, p
	t.out.Expect(p.session())
	t.greet(p)
}

func (t *Table) greet(p *peer) {
	c := t.introduce(wire.Welcome, p)
	t.out.Control(p.id, c)
	t.out.Ordered(p.id, c)
}

// superseded closes a session that the peer no longer has.
func (t *Table) superseded(now time.Time, p *peer, c wire.Control) {
	if p.phase == Expecting {
		t.out.Forget(p.conn, ConnectionClosed)
		t.over(now, p, NoAnswer)
	} else {
		why := ConnectionClosed
		if c.Prev == p.conn && c.PrevWhy != "" {
			why = Ending(c.PrevWhy)
		}
		t.down(now, p, why, "the peer opens a new session")
	}
	p.barred = false
}

// onWelcome completes a call.
func (t *Table) onWelcome(now time.Time, c wire.Control, account int) {
	p := t.of(c)
	if p == nil || p.phase != Calling || !t.welcomeProven(now, p, c) {
		return
	}
	t.learn(p, c)
	p.window = c.Window
	p.welcome[account] = true
	if !p.welcome[control] || !p.welcome[ordered] {
		return
	}
	if old := t.live[p.id.Name]; old != nil && old != p {
		return // taken meanwhile: the next try sorts it out
	}
	t.live[p.id.Name] = p
	t.up(now, p)
	t.out.Open(p.session())
}

// onRefuse ends an attempt. The next comes after a growing pause, unless somebody asks.
func (t *Table) onRefuse(now time.Time, c wire.Control) {
	p := t.peer[IDOf(c.From)]
	if p != nil && p.phase == Expecting && c.Conn == p.conn {
		t.out.Forget(p.conn, ConnectionClosed) // it does not take our welcome for ours
		t.over(now, p, NoAnswer)
		t.refusedBy(now, p, Why(c.Why), c.Detail)
		return
	}
	if p == nil || p.phase == Up || p.phase == Expecting {
		return
	}
	t.stopCalling(p)
	t.refusedBy(now, p, Why(c.Why), c.Detail)
}

func (t *Table) refusedBy(now time.Time, p *peer, why Why, detail string) {
	p.wanted = false
	p.refused++
	pause := min(t.cfg.Interval<<min(p.refused-1, 6), time.Minute)
	p.nextTry = now.Add(time.Duration(float64(pause) * (0.5 + t.cfg.Jitter())))
	t.out.Failed(p.id, why, detail)
}

// welcomeName refuses those that may not come in: by policy, or because their name is held by a living node.
func (t *Table) welcomeName(now time.Time, c wire.Control) bool {
	id := IDOf(c.From)
	if id == t.self() {
		return false
	}
	if t.leaving {
		t.refuse(id, Leaving, "this node is leaving")
		return false
	}
	if err := t.admit(c.From); err != nil {
		t.refuse(id, NotAllowed, err.Error())
		return false
	}
	if id.Name == t.cfg.Self.Name {
		if t.cfg.Self.Settled || (!c.From.Settled && less(t.self(), id)) {
			t.refuse(id, NameInUse, "this node has the name")
		}
		return false
	}
	old := t.live[id.Name]
	if old == nil || old.id == id {
		return true
	}
	if old.suspect {
		return false // being probed: the caller will ask again
	}
	if !old.confirmed.IsZero() && now.Sub(old.confirmed) < t.cfg.Interval {
		t.refuse(id, NameInUse, fmt.Sprintf("another incarnation of %s is connected, and answers", id.Name))
		return false
	}
	t.Suspect(now, old.id)
	return false
}

func (t *Table) refuse(id ID, why Why, detail string) {
	c := t.message(wire.Refuse, 0)
	c.Why, c.Detail = string(why), detail
	t.out.Control(id, c)
}

// learn takes over what a peer says of itself.
func (t *Table) learn(p *peer, c wire.Control) {
	p.info = c.From
	p.info.Draining = p.draining || c.From.Draining
	p.draining = p.info.Draining
	p.others = c.Peers
	p.setInterval(c.Interval)
}
