package pg

import "sync/atomic"

// Stats are counters since the start of the groups, and sizes now.
type Stats struct {
	// Broadcasts and Delivered count what was broadcast here, and messages put into mailboxes of this node.
	Broadcasts, Delivered uint64
	// Skipped counts broadcasts of this node that a node which was behind did not get, Missed those of other nodes
	// that did not come here, as far as they have told.
	Skipped, Missed uint64
	// Topics is how many groups have a topic on this node.
	Topics int
	// Ignored counts frames for a scope that does not run here, of a hidden node, or from before a sync (PG-30).
	Ignored uint64
	// BadFrames counts frames that made no sense, BadMessages broadcasts that could not be decoded.
	BadFrames, BadMessages uint64
	// Unsent counts frames that the node did not take for another reason than a lost peer. It should be zero.
	Unsent uint64
}

type counters struct {
	broadcasts, delivered  atomic.Uint64
	skipped, missed        atomic.Uint64
	ignored                atomic.Uint64
	badFrames, badMessages atomic.Uint64
	unsent                 atomic.Uint64
	topics                 atomic.Int64
}

// Stats reads the counters.
func (g *Groups) Stats() Stats {
	c := &g.stats
	return Stats{
		Broadcasts:  c.broadcasts.Load(),
		Delivered:   c.delivered.Load(),
		Skipped:     c.skipped.Load(),
		Missed:      c.missed.Load(),
		Topics:      int(c.topics.Load()),
		Ignored:     c.ignored.Load(),
		BadFrames:   c.badFrames.Load(),
		BadMessages: c.badMessages.Load(),
		Unsent:      c.unsent.Load(),
	}
}
