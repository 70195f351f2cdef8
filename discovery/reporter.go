package discovery

import (
	"slices"
	"strings"
)

// Reporter passes lists on as Run of a [Strategy] has to: whole, in order, without repetitions and without the node
// itself, and only when they have changed. Strategies outside of this package may use it too. One goroutine at a time
// may call it.
type Reporter struct {
	self  Self
	found func([]Candidate)
	told  bool
	last  []Candidate
}

// NewReporter returns a reporter to found, for the node self.
func NewReporter(self Self, found func([]Candidate)) *Reporter {
	return &Reporter{self: self, found: found}
}

// Report passes on list, in any order, if it is the first one or differs from the one before. The reporter keeps list.
func (r *Reporter) Report(list []Candidate) {
	slices.SortFunc(list, compareCandidates)
	list = slices.Compact(list)
	list = slices.DeleteFunc(list, func(c Candidate) bool {
		return c.Addr == r.self.Addr || c.Name != "" && c.Name == r.self.Name
	})
	if r.told && slices.Equal(list, r.last) {
		return
	}
	r.told, r.last = true, list
	r.found(slices.Clone(list))
}

// Start reports an empty list if nothing has been reported yet: whoever waits for the first list is not to wait for a
// source that fails.
func (r *Reporter) Start() {
	if !r.told {
		r.Report(nil)
	}
}

// compareCandidates orders by address, then by name, then by the rest.
func compareCandidates(a, b Candidate) int {
	if c := strings.Compare(a.Addr, b.Addr); c != 0 {
		return c
	}
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	switch {
	case a.Incarnation < b.Incarnation:
		return -1
	case a.Incarnation > b.Incarnation:
		return 1
	}
	return strings.Compare(a.Source, b.Source)
}
