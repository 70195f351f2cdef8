package rpc

import "time"

// onceTable remembers calls with an idempotency key: which run, who waits for them, and what they answered. It takes
// the time as an argument, and is for one goroutine at a time. W is who waits.
type onceTable[W any] struct {
	window   time.Duration
	maxKeys  int
	maxBytes int
	bytes    int
	calls    map[onceKey]*onceCall[W]
	// ended holds the keys of ended calls in the order of their expiry, which is that of their end.
	ended []onceEnd
}

type onceKey struct{ fn, key string }

type onceCall[W any] struct {
	answer  *outcome // nil while it runs
	size    int
	waiters []W
}

type onceEnd struct {
	key    onceKey
	expiry time.Time
}

// onceVerdict is what a call with a key is to do.
type onceVerdict uint8

const (
	onceRun    onceVerdict = iota // it is the first: run, then call finish
	onceWait                      // the first still runs: finish will return the waiter
	onceReplay                    // it has ended: here is its answer
	onceFull                      // no room to promise anything
)

// maxOnceWaiters bounds how many calls wait for one.
const maxOnceWaiters = 1024

// begin decides about a call with the key.
func (t *onceTable[W]) begin(k onceKey, w W, now time.Time) (onceVerdict, *outcome) {
	t.expire(now)
	c, ok := t.calls[k]
	switch {
	case ok && c.answer != nil:
		return onceReplay, c.answer
	case ok && len(c.waiters) < maxOnceWaiters:
		c.waiters = append(c.waiters, w)
		return onceWait, nil
	case ok, len(t.calls) >= t.maxKeys, t.bytes >= t.maxBytes:
		return onceFull, nil
	}
	if t.calls == nil {
		t.calls = make(map[onceKey]*onceCall[W])
	}
	t.calls[k] = &onceCall[W]{}
	return onceRun, nil
}

// finish stores the answer of the call that begin told to run, and returns who waited for it.
func (t *onceTable[W]) finish(k onceKey, answer *outcome, now time.Time) []W {
	c := t.calls[k]
	waiters := c.waiters
	c.waiters, c.answer = nil, answer
	c.size = len(k.fn) + len(k.key) + len(answer.data)
	t.bytes += c.size
	t.ended = append(t.ended, onceEnd{k, now.Add(t.window)})
	t.expire(now)
	return waiters
}

// expire forgets what ended more than the window ago.
func (t *onceTable[W]) expire(now time.Time) {
	n := 0
	for n < len(t.ended) && !now.Before(t.ended[n].expiry) {
		k := t.ended[n].key
		t.bytes -= t.calls[k].size
		delete(t.calls, k)
		n++
	}
	if n > 0 {
		t.ended = append(t.ended[:0], t.ended[n:]...)
	}
}
