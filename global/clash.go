package global

import (
	"github.com/kith-mesh/kith/process"
)

// A clash is two registrations of one name by two owners. One that is not agreed on yet gives way. Two that were agreed
// on, each on its side of a partition, are resolved by the lower of the two owners, once, and each owner carries the
// outcome out on its own registration, of which it then tells everybody.

// clashKey is one clash with a peer: both registrations, by their versions.
type clashKey struct {
	name         string
	mine, theirs Version
}

// decision is the outcome of a clash.
type decision struct {
	keep verdict
	stop bool // the process that loses is stopped after its grace
}

type verdict byte

const (
	keepNone verdict = iota
	keepLower
	keepHigher
)

// flagStop of an outcome: the loser is to be stopped. The verdict is in the low bits.
const flagStop = 1 << 4

// clash tells a peer that its registration collides with one of this node.
func (c *core) clash(p *peer, theirs, own *entry) {
	flags := byte(0)
	if own.claim != nil {
		flags |= flagPending
	}
	c.object(p, theirs, own, flags)
}

// testify tells a peer that its registration collides with one that this node knows from another. The owner of that
// one says so itself if the two have a session; if not, only a third party can.
func (c *core) testify(p *peer, e *entry) {
	for _, o := range c.names[e.Name] {
		if o.owner() != p.id {
			c.object(p, e, o, flagWitness)
		}
	}
}

func (c *core) object(p *peer, theirs, other *entry, flags byte) {
	c.send(p, func(b []byte) []byte {
		b = appendVersion(appendString(append(b, byte(opClash)), theirs.Name), theirs.Version)
		return appendVersion(appendPID(append(b, flags), other.PID), other.Version)
	})
}

// onClash takes what clash and testify tell.
func (c *core) onClash(p *peer, name string, mine, theirs Version, flags byte, holder process.PID) {
	own := c.own(name)
	witness := flags&flagWitness != 0
	switch {
	case own == nil || own.Version != mine:
		// It has gone or changed meanwhile, and the peer has been told.
	case witness:
		if c.peers[holder.NodeID()] == nil && own.claim != nil {
			c.yield(own, holder)
		}
	case own.claim != nil:
		c.yield(own, holder)
	default:
		c.meet(p, own, theirs, flags&flagPending != 0)
	}
}

// meet deals with a clash of two registrations of which this node's is agreed on.
func (c *core) meet(p *peer, own *entry, version Version, pending bool) {
	theirs := p.entries[own.Name]
	key := clashKey{own.Name, own.Version, version}
	switch {
	case theirs == nil || theirs.Version != version:
	case pending || !c.lower(p):
		c.clash(p, theirs, own)
	case !p.settled[key]:
		p.settled[key] = true
		c.fx.resolve(p, own, theirs)
	}
}

// resolved carries out what a resolver has decided, unless the clash has ended by itself, or the session, meanwhile.
func (c *core) resolved(p *peer, own, theirs *entry, d decision) {
	cur, other := c.own(own.Name), p.entries[own.Name]
	if c.peers[p.id] != p || cur == nil || other == nil || cur.Version != own.Version || other.Version != theirs.Version {
		return
	}
	flags := byte(d.keep)
	if d.stop {
		flags |= flagStop
	}
	c.send(p, func(b []byte) []byte {
		b = appendString(append(b, byte(opOutcome)), own.Name)
		return append(appendVersion(appendVersion(b, theirs.Version), own.Version), flags)
	})
	if d.keep != keepLower {
		c.lose(cur, theirs.PID, d)
	}
}

// onOutcome carries out what the lower owner has decided.
func (c *core) onOutcome(p *peer, name string, mine, theirs Version, flags byte) {
	d := decision{keep: verdict(flags &^ flagStop), stop: flags&flagStop != 0}
	own, other := c.own(name), p.entries[name]
	if own == nil || own.Version != mine || d.keep == keepHigher {
		return
	}
	holder := process.PID{}
	if other != nil && other.Version == theirs {
		holder = other.PID
	}
	c.lose(own, holder, d)
}

// lose takes the name from an own process that had it by right.
func (c *core) lose(e *entry, other process.PID, d decision) {
	cl := e.claim
	c.withdraw(e, Clashed, nil)
	c.givenWay(e, cl, other)
	c.fx.lost(e, other, d)
}
