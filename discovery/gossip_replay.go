package discovery

import (
	"container/heap"
	"errors"
	"time"
)

const (
	// gossipWindow is how far the time of an announcement may be from this node's clock, either way.
	gossipWindow = 30 * time.Second
	// gossipNonces is how many announcements are remembered, about 100 bytes each. A mesh of 1,000 nodes sends 10,000
	// within the window.
	gossipNonces = 16384
)

var (
	errGossipClock  = errors.New("announcement of another time: the clocks differ, or it was sent again")
	errGossipReplay = errors.New("announcement seen before")
)

// replayGuard accepts every announcement once. It remembers the nonces of the window; when there are more than it may
// remember, it forgets the oldest and refuses everything of that age from then on, so that bounded memory never lets an
// old announcement in again.
type replayGuard struct {
	window time.Duration
	limit  int
	seen   map[[nonceLen]byte]bool
	byTime nonceHeap
	floor  time.Time // nothing from this time or before it is accepted
}

func newReplayGuard(window time.Duration, limit int) *replayGuard {
	return &replayGuard{window: window, limit: limit, seen: make(map[[nonceLen]byte]bool)}
}

// accept says whether the announcement of time at with this nonce is new at now. Only what is known to be genuine may
// get here, so that strangers cannot make it forget.
func (g *replayGuard) accept(at time.Time, nonce [nonceLen]byte, now time.Time) error {
	for len(g.byTime) > 0 && g.byTime[0].at.Before(now.Add(-g.window)) {
		g.forgetOldest()
	}
	if at.Before(now.Add(-g.window)) || at.After(now.Add(g.window)) {
		return errGossipClock
	}
	if g.seen[nonce] || !at.After(g.floor) {
		return errGossipReplay
	}
	g.seen[nonce] = true
	heap.Push(&g.byTime, timedNonce{at, nonce})
	if len(g.byTime) > g.limit {
		g.forgetOldest()
	}
	return nil
}

// forgetOldest forgets the nonce of the earliest time, which is the floor from then on.
func (g *replayGuard) forgetOldest() {
	oldest := heap.Pop(&g.byTime).(timedNonce)
	delete(g.seen, oldest.nonce)
	if oldest.at.After(g.floor) {
		g.floor = oldest.at
	}
}

type timedNonce struct {
	at    time.Time
	nonce [nonceLen]byte
}

// nonceHeap is a container/heap with the earliest time on top.
type nonceHeap []timedNonce

func (h nonceHeap) Len() int           { return len(h) }
func (h nonceHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h nonceHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push is for container/heap only.
func (h *nonceHeap) Push(x any) { *h = append(*h, x.(timedNonce)) }

// Pop is for container/heap only.
func (h *nonceHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
