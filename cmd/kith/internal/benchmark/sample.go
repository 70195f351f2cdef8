package benchmark

import (
	"slices"
	"sync"
	"time"
)

// quantile is the value below which the share q of the times lie, in units of one.
func quantile(times []time.Duration, q float64, one time.Duration) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	return float64(sorted[int(q*float64(len(sorted)-1))]) / float64(one)
}

// median is the middle one of the rates of several turns.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// timed appends how long f takes, again and again for as long as d.
func timed(times []time.Duration, d time.Duration, f func() error) ([]time.Duration, error) {
	begin := time.Now()
	for at := begin; at.Sub(begin) < d; {
		if err := f(); err != nil {
			return times, err
		}
		now := time.Now()
		times = append(times, now.Sub(at))
		at = now
	}
	return times, nil
}

// parallel has several callers call f for as long as d, and returns how often a second they did.
func parallel(callers int, d time.Duration, f func() error) (perSecond float64, err error) {
	var mu sync.Mutex // guards the fields below
	var count int
	var wg sync.WaitGroup
	begin := time.Now()
	for range callers {
		wg.Go(func() {
			n, failed := 0, error(nil)
			for ; failed == nil && time.Since(begin) < d; n++ {
				failed = f()
			}
			mu.Lock()
			defer mu.Unlock()
			count += n
			if failed != nil {
				err = failed
			}
		})
	}
	wg.Wait()
	return float64(count) / time.Since(begin).Seconds(), err
}
