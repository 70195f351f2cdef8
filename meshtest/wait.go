package meshtest

import (
	"testing"
	"time"
)

// defaultWithin is how long Eventually waits if it is not told: far longer than anything here takes, on a machine that
// is crowded.
const defaultWithin = 20 * time.Second

// Eventually waits until cond holds, and fails the test if it does not within the given time (default 20 s). what says in
// the failure what was awaited. cond is called every few milliseconds, on the caller's goroutine, which must be the test's.
func Eventually(t testing.TB, what string, cond func() bool, within ...time.Duration) {
	t.Helper()
	limit := defaultWithin
	if len(within) > 0 {
		limit = within[0]
	}
	began := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Since(began) > limit {
			t.Fatalf("%s: not within %v", what, limit)
		}
		<-tick.C
	}
}
