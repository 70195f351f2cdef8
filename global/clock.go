package global

import (
	"cmp"
	"fmt"
	"time"
)

// Version orders what happened to one name: every registration that is agreed on gets a greater one than all that the
// nodes which agreed had seen. It comes from a hybrid logical clock: Clock is greater than that of everything its maker
// knew of, and close to the time of day; one that is 100 years ahead of it is refused. Versions that two partitions made do not know of each other: which of them is
// greater says nothing about right, and decides nothing unless the program asks for it (ResolveOlder).
type Version struct {
	// Clock is milliseconds since 1970, in the upper 48 bits, and a count within the millisecond. It is the fencing
	// token of a registration: see package leader.
	Clock uint64
	// Node is the incarnation of the node that made the version. It only makes versions distinct.
	Node uint64
}

// Compare is negative when v is less than o, zero when they are the same.
func (v Version) Compare(o Version) int {
	return cmp.Or(cmp.Compare(v.Clock, o.Clock), cmp.Compare(v.Node, o.Node))
}

// IsZero reports whether it is no version.
func (v Version) IsZero() bool { return v == Version{} }

// String prints the version for people.
func (v Version) String() string { return fmt.Sprintf("%d@%016x", v.Clock, v.Node) }

// logicalBits is how many bits of a clock count within a millisecond.
const logicalBits = 16

// hybrid is a hybrid logical clock. A time of day that jumps back does not take it back.
type hybrid struct {
	last uint64
	node uint64
}

// next makes a version that is greater than all that were made here or observed.
func (h *hybrid) next(now time.Time) Version {
	h.last = max(h.last+1, uint64(max(now.UnixMilli(), 0))<<logicalBits)
	return Version{Clock: h.last, Node: h.node}
}

// mostAhead is how far a peer's clock may be ahead of the time of day here. It is generous, since a node whose time of day
// is wrong takes part all the same; but some bound there must be, well below what 64 bits hold: whoever believes in the
// greatest clock there is can make no version that others believe in.
const mostAhead = 100 * 365 * 24 * time.Hour

// limit is the first clock that is not believed.
func (h *hybrid) limit(now time.Time) uint64 {
	const most = 1 << 63
	return min(uint64(max(now.Add(mostAhead).UnixMilli(), 0)), most>>logicalBits) << logicalBits
}

// observe takes note of a version made elsewhere, which is below the limit.
func (h *hybrid) observe(v Version) { h.last = max(h.last, v.Clock) }
