// Package sparse keeps what others can cause as often as they like from filling the log.
package sparse

import (
	"sync"
	"time"
)

// Quiet is the least time between two lines that a Gate lets through.
const Quiet = 10 * time.Second

// Gate lets one line through in a while, and counts those that it leaves out. Its zero value lets the first through. Any
// goroutine may use it.
type Gate struct {
	mu      sync.Mutex // guards the fields below
	last    time.Time
	leftOut int
}

// Next says whether the time has come for a line, and how many were left out since the last. It does not block.
func (g *Gate) Next(now time.Time) (ok bool, leftOut int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.last.IsZero() && now.Sub(g.last) < Quiet {
		g.leftOut++
		return false, 0
	}
	leftOut = g.leftOut
	g.last, g.leftOut = now, 0
	return true, leftOut
}

// Allow is Next for who counts by other means.
func (g *Gate) Allow(now time.Time) bool {
	ok, _ := g.Next(now)
	return ok
}
