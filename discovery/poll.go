package discovery

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// DefaultInterval is how often sources that have to be asked are asked: dns, dnssrv, hosts.
	DefaultInterval = 5 * time.Second
	// maxBackoff is the longest pause between two attempts at a source that keeps failing.
	maxBackoff = time.Minute
	// askTimeout is how long one question may take, so that a source that hangs is noticed as one that fails.
	askTimeout = 5 * time.Second
)

// poller asks a source again and again.
type poller struct {
	name     string
	interval time.Duration
	// ask returns the whole list. An error keeps the last one.
	ask func(ctx context.Context) ([]Candidate, error)
}

// run asks until ctx ends. See [Strategy] for found and fail.
func (p poller) run(ctx context.Context, self Self, found func([]Candidate), fail func(error)) {
	pause := backoff{base: p.interval, limit: max(maxBackoff, p.interval)}
	var last []Candidate
	told := false
	for {
		list, err := p.askOnce(ctx)
		if ctx.Err() != nil {
			return
		}
		wait := jitter(p.interval)
		if err != nil {
			fail(fmt.Errorf("%s: %w", p.name, err))
			list, wait = last, pause.next()
		} else {
			pause.reset()
			list = tidy(list, self)
		}
		if !told || !slices.Equal(list, last) {
			told, last = true, list
			found(slices.Clone(list))
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// askOnce asks once, within askTimeout.
func (p poller) askOnce(ctx context.Context) ([]Candidate, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return p.ask(ctx)
}

// tidy sorts list, since sources answer in any order, and takes out repetitions and this node itself.
func tidy(list []Candidate, self Self) []Candidate {
	slices.SortFunc(list, compareCandidates)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(c Candidate) bool {
		return c.Addr == self.Addr || c.Name != "" && c.Name == self.Name
	})
}

// backoff gives growing, jittered pauses.
type backoff struct {
	base, limit time.Duration
	tries       int
}

// next returns the pause before the next attempt: base, doubled for each failure in a row, up to limit.
func (b *backoff) next() time.Duration {
	d := b.base
	for range b.tries {
		if d >= b.limit/2 {
			d = b.limit
			break
		}
		d *= 2
	}
	b.tries++
	return jitter(d)
}

// reset forgets the failures.
func (b *backoff) reset() { b.tries = 0 }

// jitter returns a duration within a quarter of d, so that many nodes do not act at the same moment.
func jitter(d time.Duration) time.Duration {
	if d < 4 {
		return d
	}
	return d*3/4 + rand.N(d/2)
}

// sleep waits for d and returns true, or false as soon as ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
