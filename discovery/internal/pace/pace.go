// Package pace holds the pauses of those who try for ever: growing, jittered, and ended by a context.
package pace

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff gives growing, jittered pauses. Its owner alone calls it.
type Backoff struct {
	// Base is the first pause and Limit the longest, both before jitter.
	Base, Limit time.Duration
	tries       int
}

// Next returns the pause before the next attempt: Base, doubled for each failure in a row, up to Limit.
func (b *Backoff) Next() time.Duration {
	d := b.Base
	for range b.tries {
		if d >= b.Limit/2 {
			d = b.Limit
			break
		}
		d *= 2
	}
	b.tries++
	return Jitter(d)
}

// Reset forgets the failures.
func (b *Backoff) Reset() { b.tries = 0 }

// Jitter returns a duration within a quarter of d, so that many nodes do not act at the same moment.
func Jitter(d time.Duration) time.Duration {
	if d < 4 {
		return d
	}
	return d*3/4 + rand.N(d/2)
}

// Sleep waits for d and returns true, or false as soon as ctx ends.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
