package process

import "sync/atomic"

// Stats are counters since the start of the runtime, and sizes now.
type Stats struct {
	// Processes is how many processes there are.
	Processes int `json:"processes"`
	// SentToNobody counts messages that were sent to no process, no name or no node (SIG-05, SIG-06).
	SentToNobody uint64 `json:"sent_to_nobody"`
	// Refused counts messages that full mailboxes did not take: those of other nodes, which nobody hears of, and local
	// ones, whose sender was told.
	Refused uint64 `json:"refused"`
	// DroppedOldest counts messages that bounded mailboxes gave up for newer ones.
	DroppedOldest uint64 `json:"dropped_oldest"`
	// Unread counts messages that were in a mailbox when its process ended.
	Unread uint64 `json:"unread"`
	// HighWater counts how often a mailbox grew past its high-water mark.
	HighWater uint64 `json:"high_water"`
	// BadFrames and UnknownFrames count frames of peers that made no sense, and frames of kinds that this version does
	// not know.
	BadFrames     uint64 `json:"bad_frames"`
	UnknownFrames uint64 `json:"unknown_frames"`
	// BadMessages counts messages of peers that could not be decoded.
	BadMessages uint64 `json:"bad_messages"`
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
