package rpc

import "sync/atomic"

// Stats are the counters of a Server since it was made. Every request, answer or item that was given up is in one of
// them.
type Stats struct {
	// Calls, Casts and Streams are what this node asked for, of others and of itself.
	Calls   uint64 `json:"calls"`
	Casts   uint64 `json:"casts"`
	Streams uint64 `json:"streams"`
	// Pending is how many calls and streams of this node have not ended.
	Pending int `json:"pending"`
	// Served is how many requests ran here, and Running how many do.
	Served  uint64 `json:"served"`
	Running int    `json:"running"`
	// Panics is how many of those panicked or ended their goroutine.
	Panics uint64 `json:"panics"`
	// Overloads is how many requests were refused because too many ran.
	Overloads uint64 `json:"overloads"`
	// Refused is how many requests of peers a rule of the node refused.
	Refused uint64 `json:"refused"`
	// NoFunction is how many requests named a function that is not served here.
	NoFunction uint64 `json:"no_function"`
	// Replayed is how many calls with an idempotency key got the answer of an earlier one.
	Replayed uint64 `json:"replayed"`
	// Timeouts is how many calls of this node ran out of time.
	Timeouts uint64 `json:"timeouts"`
	// LateAnswers is how many answers came for calls that had been given up (ERPC-08, ERPC-49).
	LateAnswers uint64 `json:"late_answers"`
	// LostAnswers is how many answers of this node could not be sent, because the caller had gone or had no time left.
	LostAnswers uint64 `json:"lost_answers"`
	// LostCasts is how many casts were given up on the way out, most often because the node was not there (ERPC-21).
	LostCasts uint64 `json:"lost_casts"`
	// FailedCasts is how many casts failed here, with nobody to be told.
	FailedCasts uint64 `json:"failed_casts"`
	// BadFrames is how many frames could not be read.
	BadFrames uint64 `json:"bad_frames"`
}

// counters are the live form of Stats.
type counters struct {
	calls, casts, streams                    atomic.Uint64
	served, panics, overloads, noFunction    atomic.Uint64
	refused                                  atomic.Uint64
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
		Panics: c.panics.Load(), Overloads: c.overloads.Load(), Refused: c.refused.Load(), NoFunction: c.noFunction.Load(),
		Replayed: c.replayed.Load(), Timeouts: c.timeouts.Load(), LateAnswers: c.late.Load(),
		LostAnswers: c.lostAnswers.Load(), LostCasts: c.lostCasts.Load(), FailedCasts: c.failedCasts.Load(),
		BadFrames: c.bad.Load(),
	}
}
