package membership

import (
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// Prover signs what opens a session and checks what peers have signed, where nodes have certificates of their own. It may
// take its time for arithmetic and for nothing else.
//
// A hello is taken only with a signature over a number that this node has just drawn, and a welcome only with one over the
// connection id that this node has drawn; so what somebody recorded is of no use later.
type Prover interface {
	// Prove adds to a message, which goes to a peer, what proves that it is this node's.
	Prove(c *wire.Control, to ID)
	// Check says why a message proves nothing.
	Check(c wire.Control) error
}

// NotProven is the reason for which a session is refused whose opening is not signed by the node that it names.
const NotProven Why = "not_proven"

// proven says whether a hello is from whom it names. One that answers no challenge, or an old one, is challenged.
func (t *Table) proven(now time.Time, p *peer, c wire.Control) bool {
	if t.cfg.Prover == nil || p.proved == c.Conn {
		return true
	}
	if p.asked == 0 {
		p.asked = t.cfg.NewConn()
	}
	if c.Echo != p.asked {
		m := t.message(wire.Challenge, c.Conn)
		m.Token = p.asked
		t.out.Control(p.id, m)
		return false
	}
	p.asked = 0
	if err := t.cfg.Prover.Check(c); err != nil {
		t.refuse(p.id, NotProven, err.Error())
		if p.phase == Calling {
			t.stopCalling(p)
		}
		t.refusedBy(now, p, NotProven, err.Error())
		return false
	}
	p.proved = c.Conn
	return true
}

// onChallenge says hello again, in answer to what was asked.
func (t *Table) onChallenge(now time.Time, c wire.Control) {
	p := t.of(c)
	if t.cfg.Prover == nil || p == nil || p.phase != Calling || c.Token == 0 || c.Token == p.answer {
		return
	}
	p.answer = c.Token
	t.call(now, p)
}

// welcomeProven says whether a welcome is from whom it names, and gives the attempt up if not.
func (t *Table) welcomeProven(now time.Time, p *peer, c wire.Control) bool {
	if t.cfg.Prover == nil || p.proved == c.Conn {
		return true
	}
	err := t.cfg.Prover.Check(c)
	if err == nil {
		p.proved = c.Conn
		return true
	}
	m := t.message(wire.Refuse, c.Conn)
	m.Why, m.Detail = string(NotProven), err.Error()
	t.out.Control(p.id, m)
	t.stopCalling(p)
	t.refusedBy(now, p, NotProven, err.Error())
	return false
}

// prove signs what opens a session.
func (t *Table) prove(c *wire.Control, p *peer) {
	if t.cfg.Prover == nil {
		return
	}
	switch c.Verb {
	case wire.Hello:
		c.Echo = p.answer
		t.cfg.Prover.Prove(c, p.id)
	case wire.Welcome:
		t.cfg.Prover.Prove(c, p.id)
	}
}
