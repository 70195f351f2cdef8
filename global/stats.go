package global

import "sync/atomic"

// Stats are counters since the start of the registry, and sizes now.
type Stats struct {
	// Names is how many names this node sees, Behind which nodes do not answer and are not waited for.
	Names  int      `json:"names"`
	Behind []string `json:"behind"`
	// Clashes counts conflicts that were resolved on this node, Lost names that processes of this node lost by one.
	Clashes uint64 `json:"clashes"`
	Lost    uint64 `json:"lost"`
	// ResolverPanics counts resolvers that panicked.
	ResolverPanics uint64 `json:"resolver_panics"`
	// Doubts counts how often this node found that it had been frozen.
	Doubts uint64 `json:"doubts"`
	// Ignored counts answers and frames that nobody waited for any more, BadFrames those that made no sense.
	Ignored   uint64 `json:"ignored"`
	BadFrames uint64 `json:"bad_frames"`
	// Busy counts registrations for other nodes that were refused with ErrBusy.
	Busy uint64 `json:"busy"`
	// Unsent counts frames that the node did not take for another reason than a lost peer. It should be zero.
	Unsent uint64 `json:"unsent"`
}

type counters struct {
	clashes, lost, resolverPanics, doubts, ignored, badFrames, busy, unsent atomic.Uint64
}

// Stats reads the counters. It does not wait for other nodes.
func (r *Registry) Stats() Stats {
	c := &r.stats
	s := Stats{
		Clashes: c.clashes.Load(), Lost: c.lost.Load(), ResolverPanics: c.resolverPanics.Load(), Doubts: c.doubts.Load(),
		Ignored: c.ignored.Load(), BadFrames: c.badFrames.Load(), Busy: c.busy.Load(),
		Unsent: c.unsent.Load(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ledger != nil {
		s.Names = len(r.ledger.table)
		return s
	}
	s.Names, s.Behind = len(r.core.names), r.core.behindList()
	return s
}
