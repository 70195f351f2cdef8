package global

import "sync/atomic"

// Stats are counters since the start of the registry, and sizes now.
type Stats struct {
	// Names is how many names this node sees, Behind which nodes do not answer and are not waited for.
	Names  int
	Behind []string
	// Clashes counts conflicts that were resolved on this node, Lost names that processes of this node lost by one.
	Clashes, Lost uint64
	// ResolverPanics counts resolvers that panicked.
	ResolverPanics uint64
	// Doubts counts how often this node found that it had been frozen.
	Doubts uint64
	// Ignored counts answers and frames that nobody waited for any more, BadFrames those that made no sense.
	Ignored, BadFrames uint64
	// Unsent counts frames that the node did not take for another reason than a lost peer. It should be zero.
	Unsent uint64
}

type counters struct {
	clashes, lost, resolverPanics, doubts, ignored, badFrames, unsent atomic.Uint64
}

// Stats reads the counters. It does not wait for other nodes.
func (r *Registry) Stats() Stats {
	c := &r.stats
	s := Stats{
		Clashes: c.clashes.Load(), Lost: c.lost.Load(), ResolverPanics: c.resolverPanics.Load(), Doubts: c.doubts.Load(),
		Ignored: c.ignored.Load(), BadFrames: c.badFrames.Load(), Unsent: c.unsent.Load(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Names, s.Behind = len(r.core.names), r.core.behindList()
	return s
}
