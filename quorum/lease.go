package quorum

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Lease is a key that this node holds. Its methods may be called concurrently.
type Lease struct {
	s     *Store
	key   string
	token uint64

	ctx  context.Context
	end  context.CancelCauseFunc
	stop chan struct{} // closed by Release: no more renewals
	once sync.Once
	done chan struct{} // closed when the renewing goroutine has ended

	mu       sync.Mutex // guards the fields below
	value    []byte
	revision uint64
}

// Acquire takes a key if nobody holds it. It does not wait for a holder to let go: see AcquireWait. It blocks until the
// stores have agreed, within ctx. Errors: ErrTaken (a *TakenError that names the holder), ErrNoQuorum, ErrBadKey,
// ErrClosed. After ErrNoQuorum the key may be held by this node until the lease ends by itself.
func (s *Store) Acquire(ctx context.Context, key string, value []byte) (*Lease, error) {
	if err := check(key, value); err != nil {
		return nil, err
	}
	r := &record{Node: s.n.Name(), Incarnation: s.n.ID().Incarnation, Value: value, Mark: rand.Text()}
	var revision uint64
	var sent time.Time
	err := s.try(ctx, func(ctx context.Context) error {
		st, err := s.read(ctx, key)
		if err != nil {
			return err
		}
		if st.record != nil {
			if st.record.Mark == r.Mark { // an earlier attempt of ours did it, and its answer was lost
				revision = st.revision
				return s.confirm(ctx, key, revision)
			}
			if err := s.confirm(ctx, key, st.revision); err != nil {
				return again(err)
			}
			return &TakenError{Key: key, Holder: st.record.holder(st.revision)}
		}
		began := time.Now()
		if sent.IsZero() {
			sent = began // an attempt whose answer is lost may count from here
		}
		rev, err := s.write(ctx, key, r, st.revision)
		if err != nil {
			return again(err)
		}
		revision = rev
		sent = began
		return nil
	})
	if err != nil {
		return nil, s.mapError(err)
	}
	return s.hold(key, r, revision, sent), nil
}

// again makes a conflict something to try again: the next read sees what stands there.
func again(err error) error {
	if errors.Is(err, errConflict) {
		return errStale
	}
	return err
}

// AcquireWait is Acquire that waits, within ctx, until the key is free. It looks again four times a second.
func (s *Store) AcquireWait(ctx context.Context, key string, value []byte) (*Lease, error) {
	for {
		l, err := s.Acquire(ctx, key, value)
		if !errors.Is(err, ErrTaken) {
			return l, err
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-s.ctx.Done():
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", err, ctx.Err())
		}
	}
}

// hold starts renewing. sent is when the write that the lease rests on left: from then on the stores may count.
func (s *Store) hold(key string, r *record, revision uint64, sent time.Time) *Lease {
	l := &Lease{
		s: s, key: key, token: revision, value: r.Value, revision: revision,
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	l.ctx, l.end = context.WithCancelCause(s.ctx)
	s.wg.Go(func() { l.keep(sent) })
	return l
}

// Key is what is held.
func (l *Lease) Key() string { return l.key }

// Token is the fencing token: greater than that of every earlier lease on the key. It stays the same over renewals.
func (l *Lease) Token() uint64 { return l.token }

// Context ends when the lease does, before the stores can give the key to another; context.Cause says why: ErrLeaseLost,
// ErrReleased, or the end of the store. Work that needs the key runs under it.
func (l *Lease) Context() context.Context { return l.ctx }

// margin is how long before the lease's end its context ends: clocks run a little differently, and a holder needs a moment
// to stop.
func (l *Lease) margin() time.Duration { return max(l.s.lease/10, 500*time.Millisecond) }

// keep renews the lease at a third of its time, and ends it in time where that does not succeed.
func (l *Lease) keep(sent time.Time) {
	defer close(l.done)
	limit := time.NewTimer(time.Until(sent.Add(l.s.lease - l.margin())))
	defer limit.Stop()
	renewal := time.NewTimer(time.Until(sent.Add(l.s.lease / 3)))
	defer renewal.Stop()
	results := make(chan renewed, 1)
	busy := false
	for {
		select {
		case <-renewal.C:
			busy = true
			deadline := sent.Add(l.s.lease - l.margin())
			l.s.wg.Go(func() { results <- l.renew(deadline) })
		case r := <-results:
			busy = false
			if r.err != nil {
				l.end(fmt.Errorf("%w: %w", ErrLeaseLost, r.err))
				return
			}
			sent = r.sent
			limit.Reset(time.Until(sent.Add(l.s.lease - l.margin())))
			renewal.Reset(time.Until(sent.Add(l.s.lease / 3)))
		case <-limit.C:
			l.end(fmt.Errorf("%w: not renewed in time", ErrLeaseLost))
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
	sent, err := l.replace(ctx, l.value)
	return renewed{sent, err}
}

// replace writes the record with a value. The lock is held. A conflict means that the lease has ended, unless it was an
// attempt of our own whose answer was lost.
func (l *Lease) replace(ctx context.Context, value []byte) (sent time.Time, err error) {
	s := l.s
	r := &record{Node: s.n.Name(), Incarnation: s.n.ID().Incarnation, Token: l.token, Value: value, Mark: rand.Text()}
	err = s.try(ctx, func(ctx context.Context) error {
		began := time.Now()
		if sent.IsZero() {
			sent = began // an attempt whose answer was lost may have counted from here
		}
		rev, err := s.write(ctx, l.key, r, l.revision)
		if err == nil {
			l.revision, l.value = rev, value
			return nil
		}
		if !errors.Is(err, errConflict) {
			return err
		}
		st, err := s.read(ctx, l.key)
		switch {
		case err != nil:
			return err
		case st.record != nil && st.record.Mark == r.Mark:
			l.revision, l.value = st.revision, value
			return nil
		case st.revision < l.revision:
			return errStale
		}
		return fmt.Errorf("%w: another has taken the key, or its time was over", ErrLeaseLost)
	})
	return sent, err
}

// Update replaces the value of the key, which others see in Holder.Value. Errors: ErrLeaseLost, ErrNoQuorum (the value may
// or may not be the new one), ErrBadKey, ErrClosed.
func (l *Lease) Update(ctx context.Context, value []byte) error {
	if err := check(l.key, value); err != nil {
		return err
	}
	if l.ctx.Err() != nil {
		return l.lostError()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.replace(ctx, value)
	return l.s.mapError(err)
}

func (l *Lease) lostError() error {
	cause := context.Cause(l.ctx)
	if errors.Is(cause, ErrLeaseLost) || errors.Is(cause, ErrReleased) {
		return cause
	}
	return ErrClosed
}

// Release gives the key back at once. The context ends first, with the cause ErrReleased. A lease that was lost needs no
// release; releasing it, or releasing twice, does nothing. Errors: ErrNoQuorum: then the key comes free when the lease
// ends by itself.
func (l *Lease) Release(ctx context.Context) error {
	l.end(ErrReleased)
	l.once.Do(func() { close(l.stop) })
	<-l.done
	if errors.Is(context.Cause(l.ctx), ErrLeaseLost) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	err := l.s.try(ctx, func(ctx context.Context) error {
		_, err := l.s.write(ctx, l.key, nil, l.revision)
		if !errors.Is(err, errConflict) {
			return err
		}
		st, err := l.s.read(ctx, l.key)
		if err != nil {
			return err
		}
		if st.revision < l.revision {
			return errStale
		}
		if st.record == nil || st.record.holder(st.revision).Token != l.token {
			return nil // released by an attempt whose answer was lost, or over by itself
		}
		l.revision = st.revision // a renewal whose answer was lost
		return errStale
	})
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
