package crowd

import "time"

// grain is how finely times are told apart.
const grain = 100 * time.Microsecond

// Times counts how long messages took, in tenths of a millisecond; what took two seconds or more counts as that. The zero
// value is empty.
type Times [20_000]int

func (t *Times) add(d time.Duration) { t[max(0, min(int(d/grain), len(t)-1))]++ }

// Merge adds the other times.
func (t *Times) Merge(o *Times) {
	for i, n := range o {
		t[i] += n
	}
}

// Count is how many messages are counted.
func (t *Times) Count() (n int) {
	for _, some := range t {
		n += some
	}
	return n
}

// Quantile is the time within which the share q of the messages came, rounded up.
func (t *Times) Quantile(q float64) time.Duration {
	left := int(q * float64(t.Count()))
	for i, n := range t {
		if left -= n; left < 0 {
			return time.Duration(i+1) * grain
		}
	}
	return time.Duration(len(t)) * grain
}

// Sparse is the same without what did not occur, small enough to be sent.
func (t *Times) Sparse() map[int]int {
	some := map[int]int{}
	for i, n := range t {
		if n > 0 {
			some[i] = n
		}
	}
	return some
}

// MergeSparse adds what Sparse returned. What cannot come from there is left out.
func (t *Times) MergeSparse(some map[int]int) {
	for i, n := range some {
		if i >= 0 && i < len(t) {
			t[i] += n
		}
	}
}
