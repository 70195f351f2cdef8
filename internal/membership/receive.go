package membership

import (
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// Receive takes a message from the control account, or, if inOrder, one from the ordered account. Goodbyes in order
// do not come here: the dispatcher executes them and reports End.
func (t *Table) Receive(now time.Time, c wire.Control, inOrder bool) {
	account := control
	if inOrder {
		account = ordered
	}
	if p := t.peer[IDOf(c.From)]; p != nil {
		if p.conn != 0 && p.phase >= Expecting {
			p.heard = now // whatever it says, it lives
		}
		t.noteDraining(p, c.From)
	}
	switch c.Verb {
	case wire.Announce:
		t.Seen(now, c.From)
	case wire.Knock:
		t.onKnock(now, c)
	case wire.Hello:
		t.onHello(now, c, account)
	case wire.Challenge:
		t.onChallenge(now, c)
	case wire.Welcome:
		t.onWelcome(now, c, account)
	case wire.Refuse:
		t.onRefuse(now, c)
	case wire.Bye:
		t.onBye(now, c)
	case wire.ByeSeen:
		if t.of(c) != nil {
			t.out.ByeSeen(c.Conn)
		}
	case wire.Tick:
		t.onTick(now, c)
	case wire.Ack:
		t.onAck(now, c)
	case wire.Mark:
		if p := t.of(c); p != nil && p.phase == Up {
			t.out.Mark(c.Conn)
		}
	case wire.Probe:
		answer := t.message(wire.Alive, c.Conn)
		answer.Token = c.Token
		t.out.Control(IDOf(c.From), answer)
	case wire.Alive:
		t.onAlive(now, c)
	}
}

// of is the peer of the session that a message speaks of, if the message is that peer's.
func (t *Table) of(c wire.Control) *peer {
	if p := t.conn[c.Conn]; p != nil && p.id == IDOf(c.From) {
		return p
	}
	return nil
}

// onBye ends a session that the peer has already ended, for a reason that frames cannot carry.
func (t *Table) onBye(now time.Time, c wire.Control) {
	p := t.of(c)
	if p == nil {
		return
	}
	why := Ending(c.Why)
	switch p.phase {
	case Calling:
		t.stopCalling(p)
	case Expecting:
		t.out.Forget(p.conn, why)
		t.over(now, p, why)
	case Up:
		t.out.Close(p.conn, why, "the peer says: "+c.Detail)
		t.over(now, p, why)
	}
}

// onTick takes a sign of life, with what it says of the session.
func (t *Table) onTick(now time.Time, c wire.Control) {
	p := t.of(c)
	if p != nil && p.phase == Calling {
		return // it has our hello, and its welcome is on its way
	}
	if p == nil || p.phase < Expecting {
		if t.past.parting(now, c.Conn, 2*t.cfg.Interval) {
			return
		}
		answer := t.message(wire.Bye, c.Conn)
		answer.Why, answer.Detail = string(t.past.why(c.Conn)), "this session is over"
		t.out.Control(IDOf(c.From), answer)
		return
	}
	p.setInterval(c.Interval)
	p.suspect = false
	t.out.Acked(c.Conn, c.Taken, c.Window)
	t.answerTick(c)
	t.checkTail(p, c.Last)
}

// answerTick lets the peer measure the round trip, and brings it the latest acknowledgement.
func (t *Table) answerTick(c wire.Control) {
	answer := t.message(wire.Ack, c.Conn)
	answer.Echo = c.Token
	answer.Taken, answer.Window = t.out.Taken(c.Conn)
	t.out.Control(IDOf(c.From), answer)
}

// checkTail asks for a mark when two ticks in a row speak of frames that have not arrived, and none has arrived
// between them. Only the mark, which travels behind the frames, can tell that they are lost and not late.
func (t *Table) checkTail(p *peer, last uint64) {
	if p.phase != Up {
		return
	}
	have := t.out.Received(p.conn)
	if last <= have {
		p.lagging = false
		return
	}
	if p.lagging && p.behind == have {
		t.out.Control(p.id, t.message(wire.Mark, p.conn))
	}
	p.lagging, p.behind = true, have
}

// onAck takes an acknowledgement.
func (t *Table) onAck(now time.Time, c wire.Control) {
	p := t.of(c)
	if p == nil || p.phase < Expecting {
		return
	}
	if c.Echo != 0 && c.Echo == p.token {
		p.rtt = now.Sub(p.tickSent)
	}
	t.out.Acked(c.Conn, c.Taken, c.Window)
}

func (t *Table) onAlive(now time.Time, c wire.Control) {
	p := t.peer[IDOf(c.From)]
	if p == nil {
		return
	}
	p.suspect, p.confirmed = false, now
	if p.heard.Before(now) {
		p.heard = now
	}
}

// NoResponder is told that a node is gone: nobody takes its control messages, and its address does not answer for it.
func (t *Table) NoResponder(now time.Time, id ID) {
	p := t.peer[id]
	if p == nil || p.phase < Expecting {
		return
	}
	p.seen = false
	t.down(now, p, ConnectionClosed, "its connection closed, and nobody answers in its place")
}

// Confirm is told that a node is there although its connection closed: the probes stop, ticks go on deciding.
func (t *Table) Confirm(now time.Time, id ID) {
	if p := t.peer[id]; p != nil {
		p.suspect, p.confirmed = false, now
	}
}

// Lost is told that this node's own ordered connection was cut: whatever was under way in any session is gone.
func (t *Table) Lost(now time.Time, detail string) {
	for _, p := range t.peer {
		if p.phase >= Expecting {
			t.down(now, p, Gap, detail)
		}
	}
}
