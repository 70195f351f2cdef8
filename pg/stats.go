package pg

import "sync/atomic"

// Stats are counters since the start of the groups, and sizes now.
type Stats struct {
	// Broadcasts and Delivered count what was broadcast here, and messages put into mailboxes of this node.
	Broadcasts uint64 `json:"broadcasts"`
	Delivered  uint64 `json:"delivered"`
	// Skipped counts broadcasts of this node that a node which was behind did not get, Missed those of other nodes
	// that did not come here, as far as they have told.
	Skipped uint64 `json:"skipped"`
	Missed  uint64 `json:"missed"`
	// Topics is how many groups have a topic on this node.
	Topics int `json:"topics"`
	// Ignored counts frames for a scope that does not run here, of a hidden node, or from before a sync (PG-30).
	Ignored uint64 `json:"ignored"`
	// Refused counts memberships of peers that a rule of the node refused: they are not shown here, and get no broadcast of
	// this node.
	Refused uint64 `json:"refused"`
	// BadFrames counts frames that made no sense, BadMessages broadcasts that could not be decoded.
	BadFrames   uint64 `json:"bad_frames"`
	BadMessages uint64 `json:"bad_messages"`
	// Unsent counts frames that the node did not take for another reason than a lost peer. It should be zero.
	Unsent uint64 `json:"unsent"`
}

type counters struct {
	broadcasts, delivered  atomic.Uint64
	skipped, missed        atomic.Uint64
	ignored, refused       atomic.Uint64
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
		Refused:     c.refused.Load(),
		BadFrames:   c.badFrames.Load(),
		BadMessages: c.badMessages.Load(),
		Unsent:      c.unsent.Load(),
	}
}
