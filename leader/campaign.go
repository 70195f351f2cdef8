package leader

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kith-mesh/kith/global"
)

// Candidate takes part in an election until it is closed. Its methods may be called concurrently.
type Candidate struct {
	b        Backend
	view     view
	election string
	opts     options
	terms    chan *Term
	news     chan struct{}
	ctx      context.Context
	cancel   context.CancelCauseFunc
	done     chan struct{}
	last     uint64 // epoch of the term that has just ended; of the running goroutine
}

// Term is one time of leading.
type Term struct {
	ctx   context.Context
	end   context.CancelCauseFunc
	epoch uint64
	over  chan struct{}
}

// Context ends when the candidate leads no more; context.Cause says why: ErrResigned, ErrOutranked, ErrDeposed or, on
// Quorum, quorum.ErrLeaseLost, or context.Canceled if the store or its node has stopped.
func (t *Term) Context() context.Context { return t.ctx }

// Epoch is the fencing token of the term.
func (t *Term) Epoch() uint64 { return t.epoch }

// Resign ends the term, and returns when others may lead; on Quorum without a majority after 5 s, and others may lead when
// the lease has ended. The candidate stays one, and lets the others go first.
func (t *Term) Resign() {
	t.end(ErrResigned)
	<-t.over
}

type options struct {
	value    string
	priority int
	failover time.Duration
}

// Option changes a campaign.
type Option func(*options)

// Value is what observers see of this candidate when it leads, such as an address: at most 1 KiB.
func Value(v string) Option { return func(o *options) { o.value = v } }

// Priority ranks candidates; the default is 0. One with a higher priority takes over from a leader with a lower one when
// it comes (LEAD-09). Of equals, whoever leads goes on. It needs Names.
func Priority(p int) Option { return func(o *options) { o.priority = p } }

// FailoverDelay is how long a candidate waits, when the leader was lost with its node, for that node to come back
// (LEAD-09). The default is not to wait. It needs Names.
func FailoverDelay(d time.Duration) Option { return func(o *options) { o.failover = d } }

// maxValue bounds Value, in bytes.
const maxValue = 1 << 10

// Campaign takes part in an election: 1 to 64 bytes without a slash. It returns when the others know of the candidate, and
// goes on in the background until Close, the end of ctx, or that of the node or store. Errors: ErrBadArgument,
// ErrUnsupported; on Names also global.ErrClosed, global.ErrNoProcess (the node has stopped) and ctx.Err().
func Campaign(ctx context.Context, b Backend, election string, opts ...Option) (*Candidate, error) {
	c := &Candidate{b: b, election: election, terms: make(chan *Term), news: make(chan struct{}, 1), done: make(chan struct{})}
	for _, opt := range opts {
		opt(&c.opts)
	}
	const longest = 64
	switch o := c.opts; {
	case election == "" || len(election) > longest || strings.Contains(election, "/"):
		return nil, fmt.Errorf("%w: election %q, allowed are 1 to %d bytes without a slash", ErrBadArgument, election, longest)
	case len(o.value) > maxValue:
		return nil, fmt.Errorf("%w: a value of %d bytes, %d are allowed", ErrBadArgument, len(o.value), maxValue)
	case o.failover < 0:
		return nil, fmt.Errorf("%w: a failover delay of %v", ErrBadArgument, o.failover)
	case !b.ranks() && (o.priority != 0 || o.failover != 0):
		return nil, ErrUnsupported
	}
	leave, err := b.enter(ctx, election, c.opts.priority)
	if err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancelCause(ctx)
	go func() {
		defer context.AfterFunc(b.life(), func() { c.cancel(errStopped) })()
		defer close(c.done)
		defer close(c.terms)
		defer leave()
		c.view = b.watch(election, c.changed)
		defer c.view.stop()
		c.run()
	}()
	return c, nil
}

// Terms yields a term whenever the candidate begins to lead. A term that nobody has received yet is led all the same,
// and not yielded if it ends before. The channel is closed when the campaign has ended.
func (c *Candidate) Terms() <-chan *Term { return c.terms }

// Close resigns and ends the campaign. It returns when others may lead, like Resign. Calling it again is harmless.
func (c *Candidate) Close() error {
	c.cancel(ErrResigned)
	<-c.done
	return nil
}

func (c *Candidate) changed() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

// run campaigns until the context ends.
func (c *Candidate) run() {
	for c.ctx.Err() == nil {
		wait := c.await()
		if wait == 0 {
			m, err := c.b.try(c.ctx, c.election, c.opts.value)
			switch {
			case errors.Is(err, global.ErrClosed):
				return
			case err != nil:
				wait = c.b.patience()
			case m != nil:
				if c.lead(m) {
					wait = c.hold(2*c.b.patience(), always)
				} else {
					wait = c.hold(c.b.patience(), always) // whatever ended it may not be over
				}
			default:
				wait = c.b.patience() // or until there is news
			}
		}
		c.sleep(wait)
	}
}

// forever is a wait that only news ends.
const forever = time.Hour

// await says how long to wait before an attempt, 0 for not at all.
func (c *Candidate) await() time.Duration {
	led, lost, err := c.led()
	switch {
	case err != nil:
		return c.b.patience()
	case led:
		return forever
	case lost && c.opts.failover > 0:
		return c.hold(c.opts.failover, always)
	case c.outranked():
		return c.hold(2*c.b.patience(), c.outranked)
	}
	return 0
}

// led says whether somebody leads, and if not, whether the leader before was lost with its node. A view that still shows the
// term which has just ended here is late.
func (c *Candidate) led() (led, lost bool, err error) {
	l, led, lost, err := c.view.look(c.ctx)
	return led && (l.Node != c.b.node() || l.Epoch != c.last), lost, err
}

// outranked says whether there is a candidate with a higher priority.
func (c *Candidate) outranked() bool { return c.view.outranked(c.opts.priority) }

func always() bool { return true }

// hold waits while nobody leads and there is reason to, and returns 0 when that has lasted for d or the reason has gone.
func (c *Candidate) hold(d time.Duration, reason func() bool) time.Duration {
	until := time.NewTimer(d)
	defer until.Stop()
	for {
		select {
		case <-until.C:
			return 0
		case <-c.news:
			if led, _, err := c.led(); led || err != nil {
				return c.b.patience()
			}
			if !reason() {
				return 0
			}
		case <-c.ctx.Done():
			return forever
		}
	}
}

func (c *Candidate) sleep(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.news:
	case <-c.ctx.Done():
	}
}

// lead leads until the term ends. It reports whether the term was given up, so that others should go first.
func (c *Candidate) lead(m *mandate) (gaveUp bool) {
	ctx, end := context.WithCancelCause(m.ctx)
	t := &Term{ctx: ctx, end: end, epoch: m.epoch, over: make(chan struct{})}
	c.last = m.epoch
	defer close(t.over)
	defer m.release()
	offer := c.terms
	for {
		if c.outranked() {
			end(ErrOutranked)
		}
		select {
		case <-ctx.Done():
			return errors.Is(context.Cause(ctx), ErrResigned) || errors.Is(context.Cause(ctx), ErrOutranked)
		case <-c.ctx.Done():
			if why := context.Cause(c.ctx); errors.Is(why, ErrDeposed) {
				end(why)
			}
			end(ErrResigned) // which says nothing if it has ended already
		case <-c.news:
		case offer <- t:
			offer = nil
		}
	}
}
