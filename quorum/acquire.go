package quorum

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Acquire takes a key if nobody holds it. It does not wait for a holder to let go: see AcquireWait. It blocks until the
// stores have agreed, within ctx. Errors: ErrTaken (a *TakenError that names the holder), ErrNoQuorum, ErrBadKey, ErrBadRecord,
// ErrClosed. After ErrNoQuorum the key may be held by this node until the lease ends by itself.
func (s *Store) Acquire(ctx context.Context, key string, value []byte) (*Lease, error) {
	return s.acquire(ctx, key, s.fresh(value), false)
}

// AcquireShared is Acquire, but a key that others hold with the same group, which is not empty, is shared with them:
// each has a lease of its own, all with the value and the token of the first, and the key is free when all have released
// it. The lease takes as long as that of the first. A holder that was lost keeps the key for one lease longer than the
// others at most. Errors: those of Acquire.
func (s *Store) AcquireShared(ctx context.Context, key, group string, value []byte) (*Lease, error) {
	if group == "" || len(group) > MaxKey {
		return nil, fmt.Errorf("%w: a group has 1 to %d bytes, this one %d", ErrBadKey, MaxKey, len(group))
	}
	r := s.fresh(value)
	r.Group = group
	return s.acquire(ctx, key, r, false)
}

// Seize takes a key, whoever holds it; the lease before it is lost. Errors: those of Acquire, but for ErrTaken.
func (s *Store) Seize(ctx context.Context, key string, value []byte) (*Lease, error) {
	return s.acquire(ctx, key, s.fresh(value), true)
}

// fresh is the record of a new lease.
func (s *Store) fresh(value []byte) *record {
	return &record{
		Node: s.n.Name(), Incarnation: s.n.ID().Incarnation, Value: bytes.Clone(value), Mark: rand.Text(), Seconds: int64(s.lease / time.Second),
	}
}

func (s *Store) acquire(ctx context.Context, key string, r *record, seize bool) (*Lease, error) {
	if err := check(key, r.Value); err != nil {
		return nil, err
	}
	l := &Lease{s: s, key: key, handle: r.Mark}
	me := member{s.n.Name(), l.handle}
	var seen uint64
	rev, sent, err := s.change(ctx, key, r.Mark, func(st state, unsure bool) (*record, error) {
		seen = st.revision
		switch have := st.record; {
		case have != nil && have.has(l.handle): // an earlier attempt did it, and somebody has changed the record since
			l.record = have
			return nil, errNothing
		case unsure:
			return nil, errUnsure
		case have == nil || seize:
			l.record = r
			r.Members = []member{me}
		case r.Group != "" && have.Group == r.Group:
			joined := *have
			joined.Token, joined.Mark = have.token(st.revision), r.Mark
			joined.Members = append(slices.Clone(have.Members), me)
			l.record = &joined
		default:
			return nil, &TakenError{Key: key, Holder: have.holder(st.revision)}
		}
		return l.record, nil
	})
	if errors.Is(err, errNothing) {
		rev, err = seen, nil
	}
	if err != nil {
		return nil, s.mapError(err)
	}
	l.token, l.revision = l.record.token(rev), rev
	l.begin(sent)
	return l, nil
}

// change reads a key, has decide say what it should become, nil for free, and writes that if nobody was faster. If decide
// refuses, its error is returned, provided that the key was as decide saw it at some moment of the call. A write whose
// answer was lost is known by its mark when the key is read again; if the key has changed since and does not have the mark,
// decide is told that it is unsure whether that write had its effect, so that nothing has it twice. sent is when the write
// left, or the first of those that it may have been.
func (s *Store) change(ctx context.Context, key, mark string, decide func(st state, unsure bool) (*record, error)) (revision uint64, sent time.Time, err error) {
	var refused error
	var lost bool     // the answer to a write
	var lostAt uint64 // the revision that it was to replace
	err = s.try(ctx, func(ctx context.Context) error {
		st, err := s.read(ctx, key)
		if err != nil {
			return err
		}
		if st.record != nil && st.record.Mark == mark { // an earlier attempt of ours did it, and its answer was lost
			revision = st.revision
			return again(s.confirm(ctx, key, revision))
		}
		if lost && st.revision < lostAt && st.revision > 0 {
			return errStale
		}
		next, verdict := decide(st, lost && st.revision != lostAt)
		if errors.Is(verdict, errUnsure) {
			refused = verdict
			return nil
		}
		if verdict != nil {
			if err := s.confirm(ctx, key, st.revision); err != nil {
				return again(err)
			}
			refused = verdict
			return nil
		}
		began := time.Now()
		if sent.IsZero() {
			sent = began // if its answer is lost, it may count from here
		}
		switch revision, err = s.write(ctx, key, next, st.revision, ""); {
		case err == nil:
			sent = began
		case !errors.Is(err, errConflict):
			lost, lostAt = true, st.revision
		}
		return again(err)
	})
	if err == nil {
		err = refused
	}
	return revision, sent, err
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

// errNothing says that there is nothing to do.
var errNothing = errors.New("nothing to do")

// errUnsure says that the answer to a write was lost, and that the key has changed since: it may have had its effect.
var errUnsure = fmt.Errorf("%w: an answer was lost, and others have changed the key since", ErrNoQuorum)

// Evict frees a key, whoever holds it, if token is zero; otherwise only the lease with that token. The holder's lease is
// lost. A key that nobody holds is no error. It returns the revision at which the key was free, and blocks until the
// stores have agreed, within ctx. Errors: ErrNoQuorum: then the key may have been freed or not; ErrBadKey, ErrBadRecord, ErrClosed.
func (s *Store) Evict(ctx context.Context, key string, token uint64) (revision uint64, err error) {
	if err := check(key, nil); err != nil {
		return 0, err
	}
	var seen, tried uint64 // revision that was read, token that an attempt was about
	revision, _, err = s.change(ctx, key, rand.Text(), func(st state, unsure bool) (*record, error) {
		seen = st.revision
		if st.record == nil {
			return nil, errNothing
		}
		have := st.record.token(st.revision)
		switch {
		case token != 0 && have != token: // which does not come again
			return nil, errNothing
		case token == 0 && unsure && have != tried: // it may be gone by our doing, or by another's before we were called
			return nil, errUnsure
		}
		tried = have
		return nil, nil
	})
	if errors.Is(err, errNothing) {
		return seen, nil
	}
	return revision, s.mapError(err)
}

// Amend replaces the value of a key that anybody holds, whose lease goes on. edit is called with the value there is,
// perhaps more than once, but what it made of it is written once. It returns the holder with the new value, and its revision,
// and blocks until the stores have agreed, within ctx. Errors: ErrNotHeld, what edit returns, ErrNoQuorum (the value may or
// may not be the new one), ErrBadKey, ErrBadRecord, ErrClosed.
func (s *Store) Amend(ctx context.Context, key string, edit func([]byte) ([]byte, error)) (h Holder, revision uint64, err error) {
	if err := check(key, nil); err != nil {
		return Holder{}, 0, err
	}
	mark := rand.Text()
	var next record
	var seen uint64
	revision, _, err = s.change(ctx, key, mark, func(st state, unsure bool) (*record, error) {
		switch {
		case unsure && (st.record == nil || !bytes.Equal(st.record.Value, next.Value)):
			return nil, errUnsure
		case unsure: // an earlier attempt did it, and the lease was renewed since; or somebody else has done it
			next, seen = *st.record, st.revision
			return nil, errNothing
		case st.record == nil:
			return nil, fmt.Errorf("%w: %q", ErrNotHeld, key)
		}
		next = *st.record
		next.Token, next.Mark = st.record.token(st.revision), mark
		var err error
		if next.Value, err = edit(next.Value); err != nil {
			return nil, err
		}
		return &next, check(key, next.Value)
	})
	if errors.Is(err, errNothing) {
		revision, err = seen, nil
	}
	if err != nil {
		return Holder{}, 0, s.mapError(err)
	}
	return next.holder(revision), revision, nil
}
