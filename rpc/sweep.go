package rpc

import (
	"errors"
	"time"
)

// Most calls end long before their deadline, so a timer for each would be started only to be stopped. While there are
// calls, one timer looks every sweepInterval for those whose time is over. A deadline nearer than sweepLeast is not
// left to it, for it may come late by an interval.
const (
	sweepInterval = 10 * time.Millisecond
	sweepLeast    = 250 * time.Millisecond
)

// errExpired is what the sweep finishes a call with; the one who waits makes the proper error of it.
var errExpired = errors.New("expired")

// swept says whether the sweep sees to the request's deadline. Contexts see to their own.
func (rq *outgoing) swept() bool {
	return rq.own && (rq.opts.timeout < 0 || rq.opts.timeout >= sweepLeast)
}

// addPending puts c in the table of those that wait, and sees to its deadline. It reports false for a closed server.
func (s *Server) addPending(rq *outgoing, c *call) bool {
	var deadline instant
	if rq.swept() {
		deadline = rq.deadline
	}
	if !s.pending.add(c.id, c.node, deadline, c) {
		return false
	}
	if deadline != 0 && !s.sweeping.Load() {
		s.sweepSoon()
	}
	return true
}

func (s *Server) sweepSoon() {
	if s.sweeping.CompareAndSwap(false, true) {
		time.AfterFunc(sweepInterval, s.sweep)
	}
}

// sweep finishes the calls whose time is over, and comes again while there are any.
func (s *Server) sweep() {
	for _, c := range s.pending.takeExpired(s.clock.now()) {
		c.finish(outcome{err: errExpired})
	}
	s.sweeping.Store(false)
	// After the store: a call that was added before it, and so relied on this sweep, is seen here.
	if s.pending.len() > 0 {
		s.sweepSoon()
	}
}
