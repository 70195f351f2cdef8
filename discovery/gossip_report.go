package discovery

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// complainEvery is the shortest time between two reports of the same trouble with announcements.
const complainEvery = time.Minute

// complaint is one kind of trouble: how often it was met since it was last reported.
type complaint struct {
	count    int
	reported time.Time
}

// complain reports why an announcement was given up, where that is of interest to somebody, and not too often: a
// neighbour with another cookie announces itself every few seconds.
func (r *gossipRun) complain(err error, from netip.Addr, now time.Time) {
	kind := gossipTrouble(err)
	if kind == nil {
		return
	}
	c := r.complaints[kind]
	c.count++
	if c.reported.IsZero() || now.Sub(c.reported) >= complainEvery {
		r.fail(fmt.Errorf("gossip: from %v (%d times): %w", from, c.count, err))
		c = complaint{reported: now}
	}
	r.complaints[kind] = c
}

// gossipTrouble returns the kind of trouble that err is, or nil for what is in order: foreign, own and repeated ones.
func gossipTrouble(err error) error {
	for _, kind := range []error{
		errGossipSignature, errGossipClock, errGossipVersion, errGossipName, errGossipFull, errGossipAddr,
	} {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return nil
}

// count counts a datagram by what became of it.
func (r *gossipRun) count(err error) {
	s := &r.stats
	switch {
	case err == nil:
		s.accepted.Add(1)
	case errors.Is(err, errGossipSignature):
		s.signature.Add(1)
	case errors.Is(err, errGossipClock):
		s.clock.Add(1)
	case errors.Is(err, errGossipReplay):
		s.replayed.Add(1)
	default:
		s.other.Add(1)
	}
}
