package rpc

import (
	"math"
	"time"
)

// instant is a moment on a server's clock: nanoseconds since the server was made, plus one. Zero is none. Reading only
// the monotonic clock is half the price of time.Now, which a call on the same node can tell.
type instant int64

// clock is the clock of a server.
type clock struct{ start time.Time }

func (c *clock) now() instant { return instant(time.Since(c.start)) + 1 }

// at is the moment d from now.
func (c *clock) at(d time.Duration) instant { return max(1, c.now()+instant(d)) }

// of turns a time into an instant. Times before the start are all the first instant, those beyond what can be told the last.
func (c *clock) of(t time.Time) instant {
	return max(1, instant(min(t.Sub(c.start), math.MaxInt64-1))+1)
}

func (c *clock) time(i instant) time.Time { return c.start.Add(time.Duration(i - 1)) }

func (c *clock) until(i instant) time.Duration { return time.Duration(i - c.now()) }
