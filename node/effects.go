package node

import (
	"fmt"
	"time"

	"github.com/kith-mesh/kith/internal/membership"
	"github.com/kith-mesh/kith/internal/wire"
)

// The methods of this file are the membership.Effects: what the table wants done, on the wire and to the dispatcher. The
// controller calls them itself, through the table.

// Control implements membership.Effects. What expects an answer carries a reply subject, so that the broker says so when
// nobody is there.
func (c *controller) Control(to membership.ID, m wire.Control) {
	reply := ""
	if m.Verb == wire.Tick || m.Verb == wire.Probe {
		reply = fmt.Sprintf("%s%016x", c.n.replyPrefix, to.Incarnation)
	}
	c.publish(c.n.subjects.control(to.Incarnation), reply, m.Encode())
}

// Ordered implements membership.Effects. The message leaves behind all that was sent to the node before: a hello that
// overtook the frames and the goodbye of the session before would have the peer give that up too soon.
func (c *controller) Ordered(to membership.ID, m wire.Control) {
	o := newOp(opRaw)
	o.subject, o.buf = c.n.subjects.frames(to.Incarnation), append(o.buf, m.EncodeOrdered()...)
	c.n.out.push(o)
	c.n.out.wakeWriter()
}

func (c *controller) newSession(s membership.Session, caller bool) *session {
	p := Peer{ID: ID(membership.IDOf(s.Peer)), Conn: s.Conn, Hidden: s.Peer.Hidden || c.n.cfg.Hidden}
	made := newSession(p, s.Peer, s.Window, c.n.subjects.frames(p.Incarnation))
	made.caller = caller
	made.draining.Store(s.Peer.Draining)
	c.sessions[s.Conn] = made
	c.expect(time.Now(), s)
	c.n.keeper.know(s.Peer)
	c.table.SetWindow(c.n.grant.Load())
	return made
}

// Expect implements membership.Effects.
func (c *controller) Expect(s membership.Session) {
	made := c.newSession(s, false)
	c.n.dispatcher.do(func() { c.n.dispatcher.conns[s.Conn] = made })
}

// Forget implements membership.Effects.
func (c *controller) Forget(conn uint64, why membership.Why) {
	delete(c.sessions, conn)
	c.n.dispatcher.do(func() {
		if s := c.n.dispatcher.conns[conn]; s != nil {
			c.n.dispatcher.lower(s, why, "its first message came too late")
		}
	})
}

// Open implements membership.Effects.
func (c *controller) Open(s membership.Session) {
	made := c.newSession(s, true)
	c.n.dispatcher.do(func() {
		c.n.dispatcher.conns[s.Conn] = made
		c.n.dispatcher.raise(made)
	})
}

// Close implements membership.Effects. The end is delivered behind what has arrived: a fence on the ordered account says
// when. Should that account be cut, the fence is lost, and a timer does it. A connection that closes behind our goodbye is
// the end that was asked for: where both leave at once the peer may be gone before its answer is read.
func (c *controller) Close(conn uint64, why membership.Why, evidence string) {
	delete(c.sessions, conn)
	if done := c.byes[conn]; done != nil && why == membership.ConnectionClosed {
		delete(c.byes, conn)
		close(done)
		why, evidence = membership.Shutdown, thisLeaves
	}
	n, token := c.n, c.n.fences.Add(1)
	n.dispatcher.do(func() { n.dispatcher.closing[token] = closing{conn, why, evidence} })
	if err := n.ordered.Publish(n.subjects.frames(n.id.Incarnation), wire.AppendFence(nil, token)); err != nil {
		n.dispatcher.do(func() { n.dispatcher.finish(token) })
		return
	}
	time.AfterFunc(max(n.cfg.Tick, 250*time.Millisecond), func() {
		n.dispatcher.do(func() { n.dispatcher.expire(token) })
	})
}

// Acked implements membership.Effects.
func (c *controller) Acked(conn, taken, window uint64) {
	if s := c.sessions[conn]; s != nil {
		s.acked(taken, window, c.n.out)
	}
}

// Received implements membership.Effects.
func (c *controller) Received(conn uint64) uint64 {
	if s := c.sessions[conn]; s != nil {
		return s.received.Load()
	}
	return 0
}

// Sent implements membership.Effects.
func (c *controller) Sent(conn uint64) uint64 {
	if s := c.sessions[conn]; s != nil {
		return s.sent.Load()
	}
	return 0
}

// Taken implements membership.Effects.
func (c *controller) Taken(conn uint64) (taken, window uint64) {
	if s := c.sessions[conn]; s != nil {
		taken = s.charged.Load()
	}
	return taken, c.n.grant.Load()
}

// Mark implements membership.Effects.
func (c *controller) Mark(conn uint64) {
	if s := c.sessions[conn]; s != nil {
		o := newOp(opMark)
		o.session = s
		c.n.out.push(o)
		c.n.out.wakeWriter()
	}
}

// Failed implements membership.Effects.
func (c *controller) Failed(id membership.ID, why membership.Why, detail string) {
	var err error
	switch why {
	case membership.NotAllowed, membership.NotProven:
		err = fmt.Errorf("%w: %s", ErrRefused, detail)
	case membership.NameInUse:
		err = fmt.Errorf("%w: %s", ErrNameInUse, detail)
	default:
		err = fmt.Errorf("%w: %s: %s", ErrNotConnected, id.Name, detail)
	}
	c.n.failedPeer(ID(id), why, err)
	c.answer(id, err)
}

// answer tells those who wait for a session with a node.
func (c *controller) answer(id membership.ID, err error) {
	for _, w := range c.waiters[id] {
		w <- err
	}
	delete(c.waiters, id)
	c.n.changed()
}

// thisLeaves is the evidence of an end that this node asked for.
const thisLeaves = "this node leaves"

// ByeSeen implements membership.Effects. The session is over on both sides then, whatever the peer does next: it may be
// leaving too.
func (c *controller) ByeSeen(conn uint64) {
	done, s := c.byes[conn], c.sessions[conn]
	if done == nil {
		return
	}
	close(done)
	delete(c.byes, conn)
	if s != nil {
		c.n.dispatcher.do(func() {
			c.ended(conn, membership.Shutdown, "")
			c.n.dispatcher.lower(s, membership.Shutdown, thisLeaves)
		})
	}
}
