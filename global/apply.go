package global

import (
	"github.com/kith-mesh/kith/process"
)

// frame takes one frame of a peer. An error means that the rest of it was dropped.
func (c *core) frame(p *peer, r *reader) error {
	if v := r.byte(); r.err == nil && v != frameVersion {
		r.fail("version of another time")
	}
	r.limit = c.clock.limit(c.now)
	ack, seq := r.uint(), r.uint()
	for r.more() {
		c.operation(p, r)
	}
	if r.err != nil {
		return r.err
	}
	// What the frame says comes before what it acknowledges: an objection before the consent that it is part of.
	c.acknowledged(p, ack)
	if seq > p.seen {
		p.seen = seq
	}
	return nil
}

// operation takes one operation of a frame. Those of a peer in another name space mean nothing here.
func (c *core) operation(p *peer, r *reader) {
	o := op(r.byte())
	if o == opHello {
		if space := r.string(MaxName); r.err == nil {
			c.onHello(p, space)
		}
		return
	}
	switch o {
	case opSet:
		if e, flags := r.set(process.PID{Node: p.id.Name, Incarnation: p.id.Incarnation}); r.err == nil && p.joined {
			c.onSet(p, e, flags&flagSync == 0)
		}
	case opDel:
		why := Reason(r.byte())
		if name := r.name(); r.err == nil && p.joined {
			c.onDel(p, name, why)
		}
	case opSynced:
		p.synced = true
		c.confirmed(p)
	case opClaim:
		id, flags, name := r.uint(), r.byte(), r.name()
		pid := process.PID{Node: p.id.Name, Incarnation: p.id.Incarnation, ID: r.uint()}
		if r.err == nil && p.joined {
			c.onClaim(p, id, name, pid, flags&flagMoved != 0)
		}
	case opGrant:
		id, v := r.uint(), r.version()
		if r.err == nil {
			c.onGrant(p, id, v)
		}
	case opRefuse:
		id, holder := r.uint(), r.pid()
		if r.err == nil {
			c.onRefuse(id, holder)
		}
	case opRelease:
		if name := r.name(); r.err == nil {
			c.unreserve(p, name)
		}
	case opClash:
		name, mine, flags := r.name(), r.version(), r.byte()
		holder, theirs := r.pid(), r.version()
		if r.err == nil && p.joined {
			c.onClash(p, name, mine, theirs, flags, holder)
		}
	case opOutcome:
		name, mine, theirs, flags := r.name(), r.version(), r.version(), r.byte()
		if r.err == nil {
			c.onOutcome(p, name, mine, theirs, flags)
		}
	case opPing:
		id := r.uint()
		if r.err == nil && id != 0 {
			c.send(p, func(b []byte) []byte { return appendID(b, opPong, id) })
		}
	case opPong:
		c.answered(p, r.uint(), nil)
	case opAsk:
		c.onAsk(p, r)
	case opAnswer:
		c.onAnswer(p, r)
	case opLock, opLocked, opUnlock, opHeld:
		c.lockOperation(p, o, r)
	default:
		r.fail("unknown operation")
	}
}

// onHello takes the name space of a peer.
func (c *core) onHello(p *peer, space string) {
	switch {
	case space != c.space:
		p.apart = !p.joined
	case !p.joined:
		p.joined = true
		c.view = append(c.view, p)
		c.fx.met()
	}
}

// onSet takes a registration of a peer's process. live says that it is news, rather than what the peer had when the
// session began.
func (c *core) onSet(p *peer, e *entry, live bool) {
	c.clock.observe(e.Version)
	c.unreserve(p, e.Name)
	takesOver := live && e.moved
	own := c.own(e.Name)
	switch {
	case own == nil:
		if live && e.provisional && !takesOver {
			c.testify(p, e)
		}
	case takesOver && own.Version.Compare(e.Version) < 0:
		cl := own.claim
		c.put(e, own, ByCall)
		c.broadcast(e.Name, nil, func(b []byte) []byte { return appendDel(b, e.Name, ByCall) })
		if cl != nil { // it had the name for a moment
			own.claim = nil
			c.finish(cl, nil)
		}
		return
	case own.claim != nil && own.moved && live && e.Version.Compare(own.Version) < 0:
		// The own one takes over, and its owner hears of that.
	case own.claim != nil && (!e.provisional || e.Version.Compare(own.Version) < 0):
		c.put(e, nil, ByCall)
		c.yield(own, e.PID)
		return
	case c.doubtful(own) && !e.provisional:
		c.put(e, nil, ByCall)
		c.lose(own, e.PID, decision{keep: keepHigher, stop: builtIn(own.Resolver, Clash{Lower: own.Entry, Higher: e.Entry}).stop})
		return
	default:
		c.clash(p, e, own)
	}
	c.put(e, nil, ByCall) // who else had the name, and hears of it, says so itself
}

// onDel takes the end of a registration of a peer's process.
func (c *core) onDel(p *peer, name string, why Reason) {
	c.unreserve(p, name)
	if e := p.entries[name]; e != nil {
		if why < ByCall || why > Clashed {
			why = ByCall
		}
		c.remove(e, why)
	}
}
