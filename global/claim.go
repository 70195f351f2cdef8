package global

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"

	"github.com/kith-mesh/kith/process"
)

// claim is the wish to register a process of this node.
type claim struct {
	Entry
	move bool     // take the name from whoever has it
	out  *Version // where to put the version of the registration, nil for nowhere
	done func(error)

	over     bool
	question uint64 // to the arbiter
	arbiter  *peer
	tried    []*peer  // arbiters that did not answer
	next     []*claim // of the same name on this node: they come later
	e        *entry   // once granted
	again    *claim   // that has taken its place
}

// question is what an arbiter was asked, and when.
type question struct {
	id    uint64
	since time.Time
}

// begin starts a claim.
func (c *core) begin(cl *claim) {
	if first := c.asking[cl.Name]; first != nil {
		first.next = append(first.next, cl)
		return
	}
	if err := c.admissible(cl); err != nil {
		cl.over = true
		cl.done(err)
		return
	}
	c.asking[cl.Name] = cl
	c.hold(cl.PID.ID).claims++
	c.ask(cl)
}

// admissible looks at what is known here.
func (c *core) admissible(cl *claim) error {
	if e := c.shown(cl.Name); e != nil && !cl.move {
		return &TakenError{Name: cl.Name, Holder: e.PID}
	}
	if !c.fx.alive(cl.PID.ID) {
		return ErrNoProcess
	}
	if o := c.procs[cl.PID.ID]; o != nil && !c.several && !cl.move && (o.names.len() > 0 || o.claims > 0) {
		return ErrHasName
	}
	return nil
}

// ask puts the claim to the arbiter of the name.
func (c *core) ask(cl *claim) {
	p := c.arbiter(cl.Name, cl.tried)
	cl.arbiter = p
	if p == nil {
		if r, ok := c.reserved[cl.Name]; ok && !cl.move {
			c.finish(cl, &TakenError{Name: cl.Name, Holder: r.holder})
			return
		}
		c.granted(cl, c.clock.next(c.now))
		return
	}
	cl.question = c.nextID()
	c.claims[cl.question] = cl
	c.asked = append(c.asked, question{cl.question, c.now})
	c.send(p, func(b []byte) []byte {
		flags := byte(0)
		if cl.move {
			flags = flagMoved
		}
		b = append(appendID(b, opClaim, cl.question), flags)
		return binary.AppendUvarint(appendString(b, cl.Name), cl.PID.ID)
	})
}

// askOthers puts the claims of an arbiter that does not answer to the next ones.
func (c *core) askOthers(p *peer) {
	var list []*claim
	for id, cl := range c.claims {
		if cl.arbiter == p {
			delete(c.claims, id)
			list = append(list, cl)
		}
	}
	slices.SortFunc(list, func(a, b *claim) int { return cmp.Compare(a.question, b.question) })
	for _, cl := range list {
		c.release(cl) // should it still grant the name, nothing comes of it
		if cl.over {
			c.finish(cl, nil)
			continue
		}
		cl.tried = append(cl.tried, p)
		c.ask(cl)
	}
}

// onGrant takes the arbiter's yes.
func (c *core) onGrant(p *peer, id uint64, v Version) {
	cl := c.claims[id]
	c.clock.observe(v)
	if cl == nil {
		c.fx.ignored() // it was asked too long ago, and has been told so
		return
	}
	delete(c.claims, id)
	c.granted(cl, v)
}

// granted registers the process here and tells all.
func (c *core) granted(cl *claim, v Version) {
	if cl.over {
		c.release(cl)
		c.finish(cl, nil)
		return
	}
	if err := c.stillGood(cl); err != nil {
		c.release(cl)
		c.finish(cl, err)
		return
	}
	for _, e := range c.names[cl.Name] { // a grant is newer than all that it follows
		if cl.move && e.Version.Compare(v) >= 0 {
			c.clock.observe(e.Version)
			v = c.clock.next(c.now)
		}
	}
	cl.Version = v
	if cl.out != nil {
		*cl.out = v
	}
	e := &entry{Entry: cl.Entry, moved: cl.move, claim: cl}
	cl.e = e
	old := c.own(cl.Name)
	c.put(e, nil, ByCall)
	c.forgotten(old, e)
	c.tell(e, &gather{done: func() { c.agreed(e) }})
	c.proceed(cl)
}

// stillGood looks again at what may have changed while the arbiter was asked.
func (c *core) stillGood(cl *claim) error {
	if e := c.shown(cl.Name); e != nil && !cl.move {
		return &TakenError{Name: cl.Name, Holder: e.PID}
	}
	if !c.fx.alive(cl.PID.ID) {
		return ErrNoProcess
	}
	return nil
}

// forgotten deals with an own registration that another one of this node has replaced: its process is not watched for
// it any more.
func (c *core) forgotten(old, e *entry) {
	if old == nil {
		return
	}
	if old.PID != e.PID {
		c.unindex(old)
	}
	if cl := old.claim; cl != nil {
		old.claim = nil
		c.finish(cl, nil) // it had the name for a moment
	}
}

// agreed ends a claim: all who answer know.
func (c *core) agreed(e *entry) {
	if cl := e.claim; cl != nil && c.own(e.Name) == e {
		e.claim = nil
		c.finish(cl, nil)
	}
}

// release tells the arbiter that nothing comes of its grant.
func (c *core) release(cl *claim) {
	if p := cl.arbiter; p != nil && c.peers[p.id] == p {
		c.send(p, func(b []byte) []byte { return appendString(append(b, byte(opRelease)), cl.Name) })
	}
}

// finish ends a claim, whatever came of it.
func (c *core) finish(cl *claim, err error) {
	if o := c.procs[cl.PID.ID]; o != nil && cl.done != nil {
		o.claims--
		c.letGo(cl.PID.ID)
	}
	if done := cl.done; done != nil {
		cl.done = nil
		if !cl.over {
			cl.over = true
			done(err)
		}
	}
	c.proceed(cl)
}

// proceed lets the next claims of the same name on this node come.
func (c *core) proceed(cl *claim) {
	if c.asking[cl.Name] != cl {
		return
	}
	delete(c.asking, cl.Name)
	next := cl.next
	cl.next = nil
	for _, n := range next {
		if !n.over {
			c.begin(n)
		}
	}
}

// yield gives up an own registration that is not agreed on: another process has the better right.
func (c *core) yield(e *entry, holder process.PID) {
	cl := e.claim
	c.withdraw(e, Clashed, nil)
	c.givenWay(e, cl, holder)
}

// givenWay ends the claim of a registration that is gone again. A claim that takes the name from whoever has it tries
// again.
func (c *core) givenWay(e *entry, cl *claim, holder process.PID) {
	if cl == nil {
		return
	}
	e.claim = nil
	if !cl.move || cl.over {
		c.finish(cl, &TakenError{Name: cl.Name, Holder: holder})
		return
	}
	again := &claim{Entry: cl.Entry, move: true, out: cl.out, done: cl.done}
	cl.done = nil
	if o := c.procs[cl.PID.ID]; o != nil {
		o.claims--
	}
	cl.e, cl.again = nil, again
	c.begin(again)
	c.letGo(cl.PID.ID)
}

// abandon gives up a claim whose caller does not wait any more: the name is not registered, or not any more.
func (c *core) abandon(cl *claim) {
	for cl.again != nil {
		cl = cl.again
	}
	if cl.over {
		return
	}
	cl.over = true
	if e := cl.e; e != nil && e.claim == cl && c.own(cl.Name) == e {
		e.claim = nil
		c.withdraw(e, ByCall, nil)
		c.finish(cl, nil)
	}
}

// reservation is a name that this node, as its arbiter, has granted to a claim.
type reservation struct {
	by     *peer
	holder process.PID
}

// onClaim decides as the arbiter of a name.
func (c *core) onClaim(p *peer, id uint64, name string, pid process.PID, move bool) {
	if holder, taken := c.heldAgainst(p, name); taken && !move {
		c.send(p, func(b []byte) []byte { return appendPID(appendID(b, opRefuse, id), holder) })
		return
	}
	for _, e := range c.names[name] {
		c.clock.observe(e.Version)
	}
	c.reserved[name] = reservation{by: p, holder: pid}
	v := c.clock.next(c.now)
	c.send(p, func(b []byte) []byte { return appendVersion(appendID(b, opGrant, id), v) })
}

// heldAgainst says who has a name, or is about to.
func (c *core) heldAgainst(p *peer, name string) (holder process.PID, taken bool) {
	if e := c.shown(name); e != nil {
		return e.PID, true
	}
	if r, ok := c.reserved[name]; ok && r.by != p {
		return r.holder, true
	}
	return process.PID{}, false
}

// onRefuse takes the arbiter's no.
func (c *core) onRefuse(id uint64, holder process.PID) {
	cl := c.claims[id]
	if cl == nil {
		c.fx.ignored()
		return
	}
	delete(c.claims, id)
	c.finish(cl, &TakenError{Name: cl.Name, Holder: holder})
}

// unreserve frees a name that was granted to a peer.
func (c *core) unreserve(p *peer, name string) {
	if r, ok := c.reserved[name]; ok && r.by == p {
		delete(c.reserved, name)
	}
}
