package quorum

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Lease is a key that this node holds. Its methods may be called concurrently.
type Lease struct {
	s      *Store
	key    string
	handle string // names this lease in the record
	token  uint64
	time   time.Duration
	until  atomic.Int64 // when Context ends at the latest, since the store began
	over   atomic.Bool  // finished

	ctx  context.Context
	end  context.CancelCauseFunc
	stop chan struct{} // closed by Release: no more renewals
	once sync.Once
	done chan struct{} // closed when the renewing goroutine has ended

	mu       sync.Mutex // guards the fields below
	record   *record    // as this node last wrote or read it
	revision uint64
	released bool
}

// begin starts renewing. sent is when the write that the lease rests on left: from then on the stores may count.
func (l *Lease) begin(sent time.Time) {
	l.stop, l.done = make(chan struct{}), make(chan struct{})
	l.time = l.record.lease()
	l.ctx, l.end = context.WithCancelCause(l.s.ctx)
	l.extend(sent)
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.s.closed {
		close(l.done)
		return
	}
	l.s.wg.Go(func() { l.keep(sent) })
}

// extend says that the lease rests on a write that left at sent, unless it has ended meanwhile.
func (l *Lease) extend(sent time.Time) {
	l.until.Store(int64(sent.Add(l.time - l.margin()).Sub(l.s.began)))
	if l.ctx.Err() != nil {
		l.until.Store(0)
	}
}

// finish ends the lease here.
func (l *Lease) finish(cause error) {
	if !l.over.Swap(true) && errors.Is(cause, ErrLeaseLost) && l.ctx.Err() == nil {
		l.s.counters.lost.Add(1)
	}
	l.end(cause)
	l.until.Store(0)
}

// Held reports whether the lease lasts at this moment, by this node's clock: false after its time also where this process
// was stopped and its context could not end yet. It takes no lock and does not ask the stores.
func (l *Lease) Held() bool { return int64(time.Since(l.s.began)) < l.until.Load() }

// Key is what is held.
func (l *Lease) Key() string { return l.key }

// Token is the fencing token: greater than that of every earlier lease on the key. It stays the same over renewals.
func (l *Lease) Token() uint64 { return l.token }

// Context ends when the lease does, before the stores can give the key to another; context.Cause says why: ErrLeaseLost,
// ErrReleased, or the end of the store. Work that needs the key runs under it.
func (l *Lease) Context() context.Context { return l.ctx }

// margin is how long before the lease's end its context ends: clocks run a little differently, and a holder needs a moment
// to stop.
func (l *Lease) margin() time.Duration { return max(l.time/10, 500*time.Millisecond) }

// untilRenewal is how long to wait with renewing: a quarter to a third of the lease's time, so that leases that were taken
// together are not renewed together.
func (l *Lease) untilRenewal(sent time.Time) time.Duration {
	return time.Until(sent.Add(l.time/4 + mathrand.N(l.time/12)))
}

// keep renews the lease long before its end, and ends it in time where that does not succeed.
func (l *Lease) keep(sent time.Time) {
	defer close(l.done)
	defer l.until.Store(0)
	limit := time.NewTimer(time.Until(sent.Add(l.time - l.margin())))
	defer limit.Stop()
	renewal := time.NewTimer(l.untilRenewal(sent))
	defer renewal.Stop()
	results := make(chan renewed, 1)
	busy := false
	for {
		select {
		case <-renewal.C:
			busy = true
			deadline := sent.Add(l.time - l.margin())
			l.s.wg.Go(func() { results <- l.renew(deadline) })
		case r := <-results:
			busy = false
			if r.err != nil {
				l.finish(fmt.Errorf("%w: %w", ErrLeaseLost, r.err))
				return
			}
			l.s.counters.renewed.Add(1)
			sent = r.sent
			l.extend(sent)
			limit.Reset(time.Until(sent.Add(l.time - l.margin())))
			renewal.Reset(l.untilRenewal(sent))
		case <-limit.C:
			l.finish(fmt.Errorf("%w: not renewed in time", ErrLeaseLost))
			if busy {
				<-results
			}
			return
		case <-l.stop:
			if busy {
				<-results
			}
			return
		case <-l.ctx.Done():
			if busy {
				<-results
			}
			return
		}
	}
}

// renewed is the outcome of a renewal: when the write left that the lease now rests on.
type renewed struct {
	sent time.Time
	err  error
}

// renew writes the record again, which gives it its time anew.
func (l *Lease) renew(deadline time.Time) renewed {
	ctx, cancel := context.WithDeadline(l.ctx, deadline)
	defer cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	sent, err := l.replace(ctx, nil)
	return renewed{sent, err}
}

// replace writes the record again, with another value unless that is nil. The lock is held. A conflict means that the
// lease has ended, unless it was an attempt of our own whose answer was lost, or others have changed what is not ours: the
// value, or who shares the key.
func (l *Lease) replace(ctx context.Context, value *[]byte) (sent time.Time, err error) {
	s, mark := l.s, rand.Text()
	err = s.try(ctx, func(ctx context.Context) error {
		r := *l.record
		r.Token, r.Mark = l.token, mark
		if value != nil {
			r.Value = *value
		}
		began := time.Now()
		if sent.IsZero() {
			sent = began // if its answer is lost, it may count from here
		}
		rev, err := s.write(ctx, l.key, &r, l.revision, "")
		if err == nil {
			l.revision, l.record, sent = rev, &r, began
			return nil
		}
		if !errors.Is(err, errConflict) {
			return err
		}
		st, err := s.readAfter(ctx, l.key, l.revision)
		switch {
		case err != nil:
			return err
		case st.record == nil || st.record.token(st.revision) != l.token || !st.record.has(l.handle):
			return fmt.Errorf("%w: another has taken the key, or its time was over", ErrLeaseLost)
		}
		l.revision, l.record = st.revision, st.record
		if st.record.Mark == mark {
			return nil
		}
		return errStale
	})
	return sent, err
}

// Update replaces the value of the key, which others see in Holder.Value. It blocks until the stores have agreed, within ctx
// and the lease. Errors: ErrLeaseLost (with ErrBadRecord where something else has written the key), ErrReleased, ErrNoQuorum
// (the value may or may not be the new one), ErrBadKey, ErrClosed.
func (l *Lease) Update(ctx context.Context, value []byte) error {
	if err := check(l.key, value); err != nil {
		return err
	}
	if l.ctx.Err() != nil {
		return l.lostError()
	}
	// Nobody's write outlasts the lease: renewing and releasing wait for it.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	l.mu.Lock()
	defer l.mu.Unlock()
	value = bytes.Clone(value) // renewals write it again
	_, err := l.replace(ctx, &value)
	switch {
	case errors.Is(err, ErrNoQuorum) && l.ctx.Err() != nil:
		return l.lostError()
	case errors.Is(err, ErrBadRecord): // something else has taken the key
		err = fmt.Errorf("%w: %w", ErrLeaseLost, err)
	}
	if errors.Is(err, ErrLeaseLost) {
		l.finish(err)
	}
	return l.s.mapError(err)
}

func (l *Lease) lostError() error {
	cause := context.Cause(l.ctx)
	if errors.Is(cause, ErrLeaseLost) || errors.Is(cause, ErrReleased) {
		return cause
	}
	return ErrClosed
}

// Revision is that of the record as this node last wrote or read it; after Release, the one at which the key was free.
func (l *Lease) Revision() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.revision
}

// Abandon ends the lease here, with the cause ErrLeaseLost, and tells the stores nothing: the key comes free when its
// time is over. It does not wait.
func (l *Lease) Abandon() { l.finish(fmt.Errorf("%w: given up", ErrLeaseLost)) }

// Release gives the key back at once. The context ends first, with the cause ErrReleased. A lease that was lost needs no
// release; releasing it, or releasing twice, does nothing. Errors: ErrNoQuorum: then the key comes free when the lease
// ends by itself; ErrBadRecord: something else has written the key, and the lease has nothing to give back.
func (l *Lease) Release(ctx context.Context) error { return l.ReleaseFor(ctx, "") }

// ReleaseSoon is ReleaseFor that does not wait: the lease has ended when it returns, and the key comes free soon after.
func (l *Lease) ReleaseSoon(why string) {
	l.finish(ErrReleased)
	l.s.spawn(func() {
		ctx, cancel := context.WithTimeout(l.s.ctx, l.time)
		defer cancel()
		_ = l.ReleaseFor(ctx, why) // otherwise the lease ends by itself
	})
}

// ReleaseFor is Release, and tells those who watch why.
func (l *Lease) ReleaseFor(ctx context.Context, why string) error {
	l.finish(ErrReleased)
	l.once.Do(func() { close(l.stop) })
	<-l.done
	if errors.Is(context.Cause(l.ctx), ErrLeaseLost) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.released {
		return nil
	}
	err := l.s.try(ctx, func(ctx context.Context) error {
		rev, err := l.s.write(ctx, l.key, l.record.without(l.handle, l.token), l.revision, why)
		if err == nil {
			l.revision = rev
			return nil
		}
		if !errors.Is(err, errConflict) {
			return err
		}
		st, err := l.s.readAfter(ctx, l.key, l.revision)
		if err != nil {
			return err
		}
		l.revision = max(l.revision, st.revision)
		if st.record == nil || st.record.token(st.revision) != l.token || !st.record.has(l.handle) {
			return nil // released by an attempt whose answer was lost, or over by itself
		}
		l.record = st.record // a renewal whose answer was lost, or others have changed it
		return errStale
	})
	l.released = err == nil
	return l.s.mapError(err)
}

// Fence is the guard of a resource: it remembers the greatest token that it has seen, and refuses lesser ones. The zero
// value is ready. A resource that outlives the process keeps the token with its data instead.
type Fence struct {
	greatest atomic.Uint64
}

// Check accepts a token that is not older than the greatest so far. Errors: ErrFenced.
func (f *Fence) Check(token uint64) error {
	for {
		seen := f.greatest.Load()
		if token < seen {
			return fmt.Errorf("%w: %d, and %d has been here", ErrFenced, token, seen)
		}
		if token == seen || f.greatest.CompareAndSwap(seen, token) {
			return nil
		}
	}
}
