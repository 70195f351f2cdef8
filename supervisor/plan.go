package supervisor

import (
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/process"
)

// plan is what a supervisor knows of its children, and what it decides when one of them ends. It takes time as an
// argument, starts and stops nothing, and belongs to one goroutine.
type plan struct {
	strategy  Strategy
	intensity Intensity
	backoff   Backoff

	first, last *child // in the order of starting
	byID        map[string]*child
	byPID       map[process.PID]*child
	restarts    []time.Time // within the intensity's window
	made        int         // ids made up so far
}

// child is a child in the plan.
type child struct {
	Child
	prev, next *child

	pid      process.PID // zero unless it runs
	since    time.Time   // when it was started last
	restarts int         // how often it was started again
	failures int         // how often it ended in a row without having run for long
	waiting  bool        // its start is due later
	due      int         // counts the starts that became due, so that an old timer means nothing
}

func newPlan(spec Spec) (*plan, error) {
	p := &plan{
		strategy: spec.Strategy, intensity: spec.Intensity.orDefault(), backoff: spec.Backoff,
		byID: make(map[string]*child), byPID: make(map[process.PID]*child),
	}
	if spec.Strategy > RestForOne {
		return nil, fmt.Errorf("%w: strategy %d", ErrBadSpec, spec.Strategy)
	}
	if spec.Backoff.Min < 0 || spec.Backoff.Max < 0 {
		return nil, fmt.Errorf("%w: negative backoff", ErrBadSpec)
	}
	for _, c := range spec.Children {
		if c.ID == "" {
			return nil, fmt.Errorf("%w: a child without id", ErrBadSpec)
		}
		if _, err := p.add(c); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadSpec, err)
		}
	}
	return p, nil
}

// add enters a child, behind the others.
func (p *plan) add(spec Child) (*child, error) {
	if spec.Start == nil || spec.Restart > Temporary {
		return nil, fmt.Errorf("%w: child %q", ErrBadSpec, spec.ID)
	}
	for spec.ID == "" {
		p.made++
		if id := fmt.Sprintf("child-%d", p.made); p.byID[id] == nil {
			spec.ID = id
		}
	}
	if old := p.byID[spec.ID]; old != nil {
		if old.idle() {
			return nil, fmt.Errorf("%w: %q", ErrPresent, spec.ID)
		}
		return nil, fmt.Errorf("%w: %q", ErrRunning, spec.ID)
	}
	c := &child{Child: spec, prev: p.last}
	if p.last != nil {
		p.last.next = c
	} else {
		p.first = c
	}
	p.last = c
	p.byID[c.ID] = c
	return c, nil
}

// remove forgets a child that does not run.
func (p *plan) remove(c *child) {
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		p.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		p.last = c.prev
	}
	delete(p.byID, c.ID)
	c.due++
}

// idle reports whether the child neither runs nor is about to.
func (c *child) idle() bool { return c.pid.IsZero() && !c.waiting }

// started notes that a child runs.
func (p *plan) started(c *child, pid process.PID, now time.Time) {
	c.pid, c.since, c.waiting = pid, now, false
	c.due++
	p.byPID[pid] = c
}

// stopped notes that a child does not run any more, and is not to be started.
func (p *plan) stopped(c *child) {
	delete(p.byPID, c.pid)
	c.pid, c.waiting = process.PID{}, false
	c.due++
}

// decision is what to do about the end of a child.
type decision struct {
	// stop lists the children to stop, in order. Temporary ones are forgotten then.
	stop []*child
	// start lists the children to start after that, in order, once delay has passed.
	start []*child
	delay time.Duration
	// giveUp, if it is set, ends the supervisor, which stops all children.
	giveUp error
}

// ended decides about a child that has ended, or could not be started again.
func (p *plan) ended(c *child, reason error, now time.Time) decision {
	long := !c.pid.IsZero() && now.Sub(c.since) >= p.intensity.Within
	p.stopped(c)
	if !c.Restart.again(reason) {
		if c.Restart == Temporary {
			p.remove(c)
		}
		return decision{}
	}
	if long {
		c.failures = 0
	}
	c.failures++
	if !p.allow(now) {
		return decision{giveUp: &IntensityError{c.ID, reason, p.intensity.Restarts, p.intensity.Within}}
	}
	d := decision{delay: p.backoff.delay(c.failures)}
	affected := p.affected(c)
	for i := len(affected) - 1; i >= 0; i-- {
		if !affected[i].pid.IsZero() {
			d.stop = append(d.stop, affected[i])
		}
	}
	for _, each := range affected {
		if each.Restart != Temporary {
			each.restarts++
			d.start = append(d.start, each)
		}
	}
	return d
}

// again reports whether a child that ended for the reason is to be started again.
func (r Restart) again(reason error) bool {
	switch r {
	case Permanent:
		return true
	case Transient:
		return !endedWell(reason)
	}
	return false
}

func endedWell(reason error) bool {
	return reason == nil || errors.Is(reason, process.ErrNormal) || errors.Is(reason, process.ErrShutdown)
}

// affected lists the children that share the fate of c, in order: those that run or are about to, and c.
func (p *plan) affected(c *child) []*child {
	from := c
	if p.strategy == OneForAll {
		from = p.first
	}
	var all []*child
	for each := from; each != nil; each = each.next {
		if each == c || p.strategy != OneForOne && !each.idle() {
			all = append(all, each)
		}
		if p.strategy == OneForOne {
			break
		}
	}
	return all
}

// allow counts one restart, and reports whether it is within the intensity.
func (p *plan) allow(now time.Time) bool {
	kept := p.restarts[:0]
	for _, t := range p.restarts {
		if now.Sub(t) < p.intensity.Within {
			kept = append(kept, t)
		}
	}
	p.restarts = append(kept, now)
	return len(p.restarts) <= p.intensity.Restarts
}

// delay is how long to wait before a start after so many failures in a row.
func (b Backoff) delay(failures int) time.Duration {
	if b.Min <= 0 {
		return 0
	}
	most := max(b.Max, b.Min)
	d := b.Min
	for i := 1; i < failures && d < most; i++ {
		d *= 2
	}
	return min(d, most)
}
