package process

import "sync/atomic"

// Stats are counters since the start of the runtime, and sizes now.
type Stats struct {
	// Processes is how many processes there are.
	Processes int
	// SentToNobody counts messages that were sent to no process, no name or no node (SIG-05, SIG-06).
	SentToNobody uint64
	// Refused counts messages that full mailboxes did not take: those of other nodes, which nobody hears of, and local
	// ones, whose sender was told.
	Refused uint64
	// DroppedOldest counts messages that bounded mailboxes gave up for newer ones.
	DroppedOldest uint64
	// Unread counts messages that were in a mailbox when its process ended.
	Unread uint64
	// HighWater counts how often a mailbox grew past its high-water mark.
	HighWater uint64
	// BadFrames and UnknownFrames count frames of peers that made no sense, and frames of kinds that this version does
	// not know.
	BadFrames, UnknownFrames uint64
	// BadMessages counts messages of peers that could not be decoded.
	BadMessages uint64
}

type counters struct {
	sentToNobody  atomic.Uint64
	refused       atomic.Uint64
	droppedOldest atomic.Uint64
	unread        atomic.Uint64
	highWater     atomic.Uint64
	badFrames     atomic.Uint64
	unknownFrames atomic.Uint64
	badMessages   atomic.Uint64
}

// Stats reads the counters.
func (r *Runtime) Stats() Stats {
	c := &r.stats
	return Stats{
		Processes:     r.procs.len(),
		SentToNobody:  c.sentToNobody.Load(),
		Refused:       c.refused.Load(),
		DroppedOldest: c.droppedOldest.Load(),
		Unread:        c.unread.Load(),
		HighWater:     c.highWater.Load(),
		BadFrames:     c.badFrames.Load(),
		UnknownFrames: c.unknownFrames.Load(),
		BadMessages:   c.badMessages.Load(),
	}
}
