package quorum

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/kith-mesh/kith/internal/codec"
)

// Holder is who holds a key.
type Holder struct {
	// Node is the name of the node, and Incarnation its life.
	Node        string
	Incarnation uint64
	// Token is the fencing token of the lease.
	Token uint64
	// Value is what the holder gave.
	Value []byte
}

// record is a held key, as the stores keep it.
type record struct {
	Node        string `cbor:"1,keyasint"`
	Incarnation uint64 `cbor:"2,keyasint"`
	// Token is the revision at which the lease began; zero in that very revision, which cannot hold its own number.
	Token uint64 `cbor:"3,keyasint,omitempty"`
	Value []byte `cbor:"4,keyasint,omitempty"`
	// Mark names the operation that wrote the record, so that a lost outcome can be looked up.
	Mark string `cbor:"5,keyasint"`
}

func (r *record) holder(revision uint64) Holder {
	h := Holder{Node: r.Node, Incarnation: r.Incarnation, Token: r.Token, Value: r.Value}
	if h.Token == 0 {
		h.Token = revision
	}
	return h
}

// state is a key as it was read: the record if it is held, and the revision that a write must expect.
type state struct {
	record   *record
	revision uint64
}

// errConflict says that a key changed between a read and a write.
var errConflict = errors.New("the key has changed")

// read asks the stores for a key. Any of them answers, so what comes may be out of date: a write decides.
func (s *Store) read(ctx context.Context, key string) (state, error) {
	msg, err := s.stream.GetLastMsgForSubject(ctx, subject(key))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return state{}, nil
	case err != nil:
		return state{}, err
	case msg.Header.Get("KV-Operation") != "" || msg.Header.Get("Nats-Marker-Reason") != "":
		return state{revision: msg.Sequence}, nil // released, or expired
	}
	r := new(record)
	if err := codec.Unmarshal(msg.Data, r); err != nil {
		return state{}, fmt.Errorf("reading %q: %w", key, err)
	}
	return state{record: r, revision: msg.Sequence}, nil
}

// write replaces a key if its revision is still the expected one. r nil releases it.
func (s *Store) write(ctx context.Context, key string, r *record, expected uint64) (revision uint64, err error) {
	m := &nats.Msg{Subject: subject(key), Header: nats.Header{}}
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(expected), jetstream.WithRetryAttempts(0)}
	if r == nil {
		m.Header.Set("KV-Operation", "PURGE")
		m.Header.Set("Nats-Rollup", "sub")
		opts = append(opts, jetstream.WithMsgTTL(markerTime))
	} else {
		if m.Data, err = codec.Marshal(r); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrBadKey, err)
		}
		opts = append(opts, jetstream.WithMsgTTL(s.lease))
	}
	return s.publish(ctx, m, opts)
}

// confirm succeeds if a key's revision is the expected one at the moment at which the stores agree to this write, which
// changes nothing: so a read becomes as good as a write.
func (s *Store) confirm(ctx context.Context, key string, expected uint64) error {
	m := &nats.Msg{Subject: checkSubject, Header: nats.Header{}}
	_, err := s.publish(ctx, m, []jetstream.PublishOpt{
		jetstream.WithExpectLastSequenceForSubject(expected, subject(key)), jetstream.WithRetryAttempts(0),
	})
	return err
}

func (s *Store) publish(ctx context.Context, m *nats.Msg, opts []jetstream.PublishOpt) (uint64, error) {
	ack, err := s.js.PublishMsg(ctx, m, opts...)
	if err == nil {
		return ack.Sequence, nil
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && (api.ErrorCode == 10071 || api.ErrorCode == 10164) {
		return 0, fmt.Errorf("%w: %w", errConflict, err)
	}
	return 0, err
}

// readConfirmed reads a key as it is at some moment between call and return.
func (s *Store) readConfirmed(ctx context.Context, key string) (state, error) {
	var st state
	err := s.try(ctx, func(ctx context.Context) error {
		var err error
		if st, err = s.read(ctx, key); err != nil {
			return err
		}
		if err = s.confirm(ctx, key, st.revision); errors.Is(err, errConflict) {
			return errStale // read again: what was read is out of date
		}
		return err
	})
	return st, err
}

// errStale has a confirmed read tried again.
var errStale = errors.New("a store answered with an old state")

// Lookup returns who holds a key, as the nearest store knows it: it may be out of date. ok is false if nobody does.
// Errors: ErrNoQuorum if no store answers, ErrBadKey, ErrClosed.
func (s *Store) Lookup(ctx context.Context, key string) (h Holder, ok bool, err error) {
	if err := check(key, nil); err != nil {
		return Holder{}, false, err
	}
	var st state
	err = s.try(ctx, func(ctx context.Context) (err error) {
		st, err = s.read(ctx, key)
		return err
	})
	return st.result(err)
}

// LookupConfirmed returns who holds a key at some moment between call and return; a majority of the stores has agreed. ok
// is false if nobody does. Errors: ErrNoQuorum, ErrBadKey, ErrClosed.
func (s *Store) LookupConfirmed(ctx context.Context, key string) (h Holder, ok bool, err error) {
	if err := check(key, nil); err != nil {
		return Holder{}, false, err
	}
	st, err := s.readConfirmed(ctx, key)
	return st.result(err)
}

func (st state) result(err error) (Holder, bool, error) {
	if err != nil || st.record == nil {
		return Holder{}, false, err
	}
	return st.record.holder(st.revision), true, nil
}
