package global

import (
	"time"
)

// A node that was frozen may still believe in names that the others have given to somebody else meanwhile (GLOB-72). So
// when it wakes later than its peers may have waited, it believes in none of its own names until every peer that it had
// a session with has confirmed that session or has been synchronised anew; a name that one of them has meanwhile is theirs, without a resolver. A peer that stays away is not waited for
// longer than doubtTicks.

const (
	// frozenTicks is how many ticks may pass unnoticed before the peers may have given this node up: one less than they
	// wait, since its last sign of life may be a tick old.
	frozenTicks = 3
	// doubtTicks bounds the doubt.
	doubtTicks = 2
)

type doubt struct {
	on    bool
	never bool      // the registry is closed: it has no names, and nobody tells the time between two frames
	last  time.Time // when the core was called last
	until time.Time
	from  map[string]struct{} // nodes that have not confirmed
	mark  uint64              // own registrations up to this clock are in doubt
}

// notice finds out whether the node was frozen. It comes before anything else is dealt with.
func (c *core) notice() {
	d := &c.doubt
	if d.never {
		return
	}
	late := !d.last.IsZero() && c.now.Sub(d.last) >= frozenTicks*c.tick
	d.last = c.now
	if late && len(c.list) > 0 {
		c.wake()
	}
}

func (c *core) doubtTicked() {
	if c.doubt.on && !c.now.Before(c.doubt.until) {
		c.believe()
	}
}

// doubtful says whether an own registration gives way to one that others have agreed on meanwhile.
func (c *core) doubtful(e *entry) bool {
	return c.doubt.on && e.claim == nil && e.Version.Clock <= c.doubt.mark
}

// wake begins the doubt.
func (c *core) wake() {
	c.doubt.on, c.doubt.until, c.doubt.from = true, c.now.Add(doubtTicks*c.tick), map[string]struct{}{}
	c.doubt.mark = c.clock.last
	for _, p := range c.list {
		c.doubt.from[p.id.Name] = struct{}{}
		c.ping(p, func(err error) {
			if err == nil {
				c.confirmed(p)
			}
		})
	}
	c.fx.doubted(true)
}

// confirmed takes note that a peer and this node believe in the same session.
func (c *core) confirmed(p *peer) {
	if !c.doubt.on {
		return
	}
	delete(c.doubt.from, p.id.Name)
	if len(c.doubt.from) == 0 {
		c.believe()
	}
}

// doubtNoMore ends all doubt for good.
func (c *core) doubtNoMore() {
	c.doubt.never = true
	if c.doubt.on {
		c.believe()
	}
}

func (c *core) believe() {
	c.doubt.on, c.doubt.from = false, nil
	c.fx.doubted(false)
}
