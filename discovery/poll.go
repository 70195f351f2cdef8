package discovery

import (
	"context"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/discovery/internal/pace"
)

const (
	// DefaultInterval is how often sources that have to be asked are asked: dns, dnssrv, hosts.
	DefaultInterval = 5 * time.Second
	// maxBackoff is the longest pause between two attempts at a source that keeps failing.
	maxBackoff = time.Minute
	// askTimeout is how long one question may take, so that a source that hangs is noticed as one that fails.
	askTimeout = 5 * time.Second
)

// PollStrategy asks a source again and again. Make one with [Poll].
type PollStrategy struct {
	name     string
	interval time.Duration
	ask      func(ctx context.Context) ([]Candidate, error)
}

// Poll is the strategy of a source that has to be asked: dns, dnssrv and hosts are made of it, and so may be those of
// programs, for the registry of a cloud, say. Run calls ask every interval (DefaultInterval if it is not positive), give
// or take a quarter, and gives it 5 s. An error is reported and keeps the last list; the pauses between failures grow to
// a minute. ask returns the whole list, in any order; it is not called concurrently.
func Poll(name string, interval time.Duration, ask func(ctx context.Context) ([]Candidate, error)) *PollStrategy {
	if interval <= 0 {
		interval = DefaultInterval
	}
	return &PollStrategy{name: name, interval: interval, ask: ask}
}

// Name is the name given to Poll.
func (p *PollStrategy) Name() string { return p.name }

// Run asks until ctx ends. See [Strategy].
func (p *PollStrategy) Run(ctx context.Context, self Self, found func([]Candidate), fail func(error)) error {
	pause := pace.Backoff{Base: p.interval, Limit: max(maxBackoff, p.interval)}
	reporter := NewReporter(self, found)
	for {
		list, err := p.askOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		wait := pace.Jitter(p.interval)
		if err != nil {
			fail(fmt.Errorf("%s: %w", p.name, err))
			reporter.Start()
			wait = pause.Next()
		} else {
			pause.Reset()
			reporter.Report(list)
		}
		if !pace.Sleep(ctx, wait) {
			return nil
		}
	}
}

// askOnce asks once, within askTimeout.
func (p *PollStrategy) askOnce(ctx context.Context) ([]Candidate, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return p.ask(ctx)
}
