package rpc

import "sync/atomic"

// Stats are the counters of a Server since it was made. Every request, answer or item that was given up is in one of
// them.
type Stats struct {
	// Calls, Casts and Streams are what this node asked for, of others and of itself.
	Calls, Casts, Streams uint64
	// Pending is how many calls and streams of this node have not ended.
	Pending int
	// Served is how many requests ran here, and Running how many do.
	Served  uint64
	Running int
	// Panics is how many of those panicked or ended their goroutine.
	Panics uint64
	// Overloads is how many requests were refused because too many ran.
	Overloads uint64
	// NoFunction is how many requests named a function that is not served here.
	NoFunction uint64
	// Replayed is how many calls with an idempotency key got the answer of an earlier one.
	Replayed uint64
	// Timeouts is how many calls of this node ran out of time.
	Timeouts uint64
	// LateAnswers is how many answers came for calls that had been given up (ERPC-08, ERPC-49).
	LateAnswers uint64
	// LostAnswers is how many answers of this node could not be sent, because the caller had gone or had no time left.
	LostAnswers uint64
	// LostCasts is how many casts were given up on the way out, most often because the node was not there (ERPC-21).
	LostCasts uint64
	// FailedCasts is how many casts failed here, with nobody to be told.
	FailedCasts uint64
	// BadFrames is how many frames could not be read.
	BadFrames uint64
}

// counters are the live form of Stats.
type counters struct {
	calls, casts, streams                    atomic.Uint64
	served, panics, overloads, noFunction    atomic.Uint64
	replayed, timeouts, late                 atomic.Uint64
	lostAnswers, lostCasts, failedCasts, bad atomic.Uint64
}

// Stats returns the counters. It may be called concurrently, also after the server was closed.
func (s *Server) Stats() Stats {
	c := &s.count
	return Stats{
		Calls: c.calls.Load(), Casts: c.casts.Load(), Streams: c.streams.Load(),
		Pending: s.pending.len() + s.streams.len(),
		Served:  c.served.Load(), Running: int(s.running.Load()),
		Panics: c.panics.Load(), Overloads: c.overloads.Load(), NoFunction: c.noFunction.Load(),
		Replayed: c.replayed.Load(), Timeouts: c.timeouts.Load(), LateAnswers: c.late.Load(),
		LostAnswers: c.lostAnswers.Load(), LostCasts: c.lostCasts.Load(), FailedCasts: c.failedCasts.Load(),
		BadFrames: c.bad.Load(),
	}
}
