package chat

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

const (
	// laneLength bounds the messages that wait for one node.
	laneLength = 256
	// sendWait is how long one message may wait for a node that takes nothing.
	sendWait = 5 * time.Second
	// drainWait is how long the messages on their way have when the chat ends.
	drainWait = time.Second
)

var errBusy = errors.New("too many messages are waiting for that node")

// courier sends to single users without holding up the one who sends: while a node takes nothing, what is for its users
// waits in a lane of its own. What goes to one user arrives in order.
type courier struct {
	ctx   context.Context
	rt    *process.Runtime
	log   zerolog.Logger
	lanes map[string]chan parcel
	wg    sync.WaitGroup
}

// parcel is one message. failed is called when it cannot be sent, and may be nil.
type parcel struct {
	to     process.PID
	msg    any
	failed func(error)
}

func newCourier(ctx context.Context, rt *process.Runtime, log zerolog.Logger) *courier {
	return &courier{ctx: ctx, rt: rt, log: log, lanes: map[string]chan parcel{}}
}

// send takes a message to a user. It does not block. One goroutine calls send and drain.
func (c *courier) send(to process.PID, msg any, failed func(error)) {
	p := parcel{to, msg, failed}
	lane := c.lanes[to.Node]
	if lane == nil {
		err := c.rt.SendTo(c.ctx, to, msg, node.NoConnect|node.NoWait)
		if !errors.Is(err, node.ErrWouldBlock) {
			c.report(p, err)
			return
		}
		lane = make(chan parcel, laneLength)
		c.lanes[to.Node] = lane
		c.wg.Go(func() { c.work(lane) })
	}
	select {
	case lane <- p:
	default:
		c.report(p, errBusy)
	}
}

// drain waits until all has been sent, for a short while.
func (c *courier) drain() {
	done := make(chan struct{})
	for _, lane := range c.lanes {
		close(lane)
	}
	c.lanes = nil
	go func() { c.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(drainWait):
	case <-c.ctx.Done():
	}
}

func (c *courier) work(lane chan parcel) {
	for {
		select {
		case p, ok := <-lane:
			if !ok {
				return
			}
			c.deliver(p)
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *courier) deliver(p parcel) {
	ctx, cancel := context.WithTimeout(c.ctx, sendWait)
	defer cancel()
	c.report(p, c.rt.SendTo(ctx, p.to, p.msg, node.NoConnect))
}

// report tells of a message that could not be sent.
func (c *courier) report(p parcel, err error) {
	if err == nil || c.ctx.Err() != nil {
		return
	}
	c.log.Debug().Err(err).Stringer("to", p.to).Type("type", p.msg).Msg("a message to a user was not sent")
	if p.failed != nil {
		p.failed(err)
	}
}
