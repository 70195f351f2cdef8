package quorum

import "sync/atomic"

// Stats are figures of a Store since Open.
type Stats struct {
	// Renewed counts renewals that succeeded, Lost leases that ended with ErrLeaseLost.
	Renewed uint64 `json:"renewed"`
	Lost    uint64 `json:"lost"`
	// Anew counts how often watches lost touch with the stores and began anew.
	Anew uint64 `json:"anew"`
	// BadRecords counts records that watches left out, as ErrBadRecord says. It should be zero.
	BadRecords uint64 `json:"bad_records"`
}

type counters struct {
	renewed, lost, anew, badRecords atomic.Uint64
}

// Stats returns the figures. It does not block.
func (s *Store) Stats() Stats {
	c := &s.counters
	return Stats{Renewed: c.renewed.Load(), Lost: c.lost.Load(), Anew: c.anew.Load(), BadRecords: c.badRecords.Load()}
}
