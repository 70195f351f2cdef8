package quorum

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

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
	// Group is that of AcquireShared, and Members are the nodes of all handles, one for each; nil for Acquire.
	Group   string
	Members []string
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
	// Seconds is the time of the lease, which all that write the record give it anew.
	Seconds int64 `cbor:"6,keyasint"`
	// Group is that of a shared key; Members are the handles, one of a key that is not shared.
	Group   string   `cbor:"7,keyasint,omitempty"`
	Members []member `cbor:"8,keyasint,omitempty"`
}

// member is one handle of a key.
type member struct {
	Node   string `cbor:"1,keyasint"`
	Handle string `cbor:"2,keyasint"`
}

// token is the fencing token of a record that was read at a revision.
func (r *record) token(revision uint64) uint64 {
	if r.Token == 0 {
		return revision
	}
	return r.Token
}

func (r *record) holder(revision uint64) Holder {
	h := Holder{Node: r.Node, Incarnation: r.Incarnation, Token: r.token(revision), Value: r.Value, Group: r.Group}
	for _, m := range r.Members {
		if r.Group == "" {
			break
		}
		h.Members = append(h.Members, m.Node)
	}
	return h
}

// has says whether a handle is one of the record's.
func (r *record) has(handle string) bool {
	return slices.ContainsFunc(r.Members, func(m member) bool { return m.Handle == handle })
}

// without is the record without one of its handles, nil if there is no other.
func (r *record) without(handle string, token uint64) *record {
	rest := slices.DeleteFunc(slices.Clone(r.Members), func(m member) bool { return m.Handle == handle })
	if len(rest) == 0 {
		return nil
	}
	next := *r
	next.Members, next.Token, next.Mark = rest, token, rand.Text()
	return &next
}

func (r *record) lease() time.Duration { return time.Duration(r.Seconds) * time.Second }

// state is a key as it was read: the record if it is held, and the revision that a write must expect.
type state struct {
	record   *record
	revision uint64
}

// errConflict says that a key changed between a read and a write.
var errConflict = errors.New("the key has changed")

// read asks the stores for a key. Any of them answers, so what comes may be out of date: a write decides.
func (s *Store) read(ctx context.Context, key string) (state, error) {
	text, err := json.Marshal(lastRequest{LastFor: subject(key), MaxBytes: 2 * MaxValue})
	if err != nil {
		return state{}, err
	}
	m, err := s.conn.RequestWithContext(ctx, "$JS.API.DIRECT.GET.KV_"+bucketName, text)
	if err != nil {
		return state{}, err
	}
	switch status := m.Header.Get("Status"); status {
	case "":
	case "404":
		return state{}, nil
	default:
		return state{}, fmt.Errorf("reading %q: status %s %s", key, status, m.Header.Get("Description"))
	}
	revision, err := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	if err != nil {
		return state{}, fmt.Errorf("reading %q: %w", key, err)
	}
	if isMarker(m.Header) {
		return state{revision: revision}, nil
	}
	r, err := decode(key, m.Data)
	if err != nil { // for good, unless this store does not know yet that it was replaced
		if changed := s.confirm(ctx, key, revision); changed != nil {
			return state{}, again(changed)
		}
		return state{}, err
	}
	return state{record: r, revision: revision}, nil
}

// lastRequest asks any store for the last message of a subject. Without a limit the store looks at its server's options
// without their lock (nats-server 2.15.2), while a change of routes replaces them.
type lastRequest struct {
	LastFor  string `json:"last_by_subj"`
	MaxBytes int    `json:"max_bytes"`
}

func decode(key string, data []byte) (*record, error) {
	r := new(record)
	err := codec.Unmarshal(data, r)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %q, subject %s of bucket %s: %w", ErrBadRecord, key, subject(key), bucketName, err)
	}
	return r, nil
}

// check refuses what no store of this package writes.
func (r *record) check() error {
	switch {
	case r.lease() < minLease || r.Seconds > int64(maxLease/time.Second):
		return fmt.Errorf("a lease of %d s", r.Seconds)
	case r.Node == "" || len(r.Members) == 0:
		return errors.New("nobody holds it")
	}
	return nil
}

// readAfter reads a key that has changed since a revision. errStale says that the store which answered does not know.
func (s *Store) readAfter(ctx context.Context, key string, revision uint64) (state, error) {
	st, err := s.read(ctx, key)
	switch {
	case err != nil || st.revision > revision:
		return st, err
	case st.revision == 0: // nothing is left of it, unless this store does not know of it yet
		return st, again(s.confirm(ctx, key, 0))
	}
	return st, errStale
}

// isMarker says whether a message only marks that its key was released, or has expired.
func isMarker(h nats.Header) bool {
	return h.Get("KV-Operation") != "" || h.Get("Nats-Marker-Reason") != ""
}

// headerWhy says why a key was released.
const headerWhy = "Kith-Why"

// write replaces a key if its revision is still the expected one. r nil releases it, and why
// is told to those who watch.
func (s *Store) write(ctx context.Context, key string, r *record, expected uint64, why string) (revision uint64, err error) {
	m := &nats.Msg{Subject: subject(key), Header: nats.Header{}}
	opts := []jetstream.PublishOpt{jetstream.WithExpectLastSequencePerSubject(expected), jetstream.WithRetryAttempts(0)}
	if r == nil {
		m.Header.Set("KV-Operation", "PURGE")
		m.Header.Set("Nats-Rollup", "sub")
		m.Header.Set(headerWhy, why)
		opts = append(opts, jetstream.WithMsgTTL(markerTime))
	} else {
		if m.Data, err = codec.Marshal(r); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrBadKey, err)
		}
		opts = append(opts, jetstream.WithMsgTTL(r.lease()))
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
// Errors: ErrNoQuorum if no store answers, ErrBadKey, ErrBadRecord, ErrClosed.
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
// is false if nobody does. Errors: ErrNoQuorum, ErrBadKey, ErrBadRecord, ErrClosed.
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
