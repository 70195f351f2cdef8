package quorum

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
)

const (
	// bucketName is the key-value bucket of the leases, subjectPrefix where its keys are.
	bucketName    = "kith_leases"
	subjectPrefix = "$KV." + bucketName + "."
	// checkSubject takes the writes that confirm reads; it is no key.
	checkSubject = subjectPrefix + "check"
	// syncSubject takes what Watch.Sync writes; it is no key either.
	syncSubject = subjectPrefix + "sync."
	// markerTime is how long the stores keep the mark of a key that was released or has expired.
	markerTime = 5 * time.Second

	defaultLease = 10 * time.Second
	minLease     = 2 * time.Second // the stores count in whole seconds
	maxLease     = 365 * 24 * time.Hour
	leastStores  = 3
	// attempt bounds one request to the stores; the operation goes on until its own context ends.
	attempt = 2 * time.Second
	// pause is the time between two attempts.
	pause = 50 * time.Millisecond
)

// Limits of what can be held.
const (
	// MaxKey is the greatest length of a key, in bytes; they may be any.
	MaxKey = 768
	// MaxValue is the greatest size of a value, in bytes.
	MaxValue = 64 << 10
)

// Option changes how a Store is opened.
type Option func(*Store)

// WithLease sets how long a lease holds without renewal. It is rounded down to whole seconds, since the stores count so;
// the least is 2 s, the most a year, the default 10 s. The stores need up to 9 s to choose anew when the one that led them has died: a lease
// under 15 s may be lost by that, a longer one is not, but others wait longer for the key of a holder that has died.
func WithLease(d time.Duration) Option { return func(s *Store) { s.lease = d.Truncate(time.Second) } }

// WithReplicas sets on how many stores each key is kept, when the bucket is made by this call; a majority of these is what
// counts. The default is all stores that this node was started with (node.Config.Store), and 3 if it was told none: so in
// a mesh of 5 stores, open first where they are known.
func WithReplicas(n int) Option { return func(s *Store) { s.replicas = n } }

// Store is this node's way to the agreement. All its methods may be called concurrently.
type Store struct {
	n        *node.Node
	log      zerolog.Logger
	lease    time.Duration
	replicas int
	began    time.Time // what times of leases are counted from

	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	counters counters

	mu     sync.Mutex // guards the field below
	closed bool
}

// Open connects to the mesh's stores, and makes the bucket if this is the first time. It blocks until a majority of them
// answers, within ctx: right after all have started, that takes some seconds. Errors: ErrNoQuorum, ErrBadKey for a lease
// under 2 s, ErrClosed.
func Open(ctx context.Context, n *node.Node, opts ...Option) (*Store, error) {
	s := &Store{n: n, log: n.Log().With().Str("part", "quorum").Logger(), lease: defaultLease, began: time.Now()}
	for _, o := range opts {
		o(s)
	}
	if s.replicas == 0 {
		s.replicas = max(len(n.StoreNodes()), leastStores)
	}
	if s.lease < minLease || s.lease > maxLease {
		return nil, fmt.Errorf("%w: a lease of %v, and not %v to %v", ErrBadKey, s.lease, minLease, maxLease)
	}
	var err error
	if s.conn, s.js, err = n.Stores(); err != nil {
		return nil, s.mapError(err)
	}
	s.ctx, s.cancel = context.WithCancel(n.Context())
	if err := s.open(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// open makes the bucket, or finds it.
func (s *Store) open(ctx context.Context) error {
	return s.try(ctx, func(ctx context.Context) error {
		_, err := s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: bucketName, Description: "kith: leases", Replicas: s.replicas,
			LimitMarkerTTL: markerTime, Storage: jetstream.FileStorage, MaxValueSize: 2 * MaxValue,
		})
		if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
			return err
		}
		s.stream, err = s.js.Stream(ctx, "KV_"+bucketName)
		return err
	})
}

// try runs f until it succeeds, fails for good, or ctx ends. What may pass is tried again.
func (s *Store) try(ctx context.Context, f func(context.Context) error) error {
	for {
		limited, cancel := context.WithTimeout(ctx, attempt)
		err := f(limited)
		cancel()
		if err == nil || final(err) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: %w (last answer: %w)", ErrNoQuorum, ctx.Err(), err)
		}
	}
}

// final says whether trying again cannot help.
func final(err error) bool {
	return slices.ContainsFunc([]error{errConflict, ErrTaken, ErrLeaseLost, ErrBadKey, ErrBadRecord, ErrClosed},
		func(target error) bool { return errors.Is(err, target) })
}

func (s *Store) mapError(err error) error {
	if errors.Is(err, node.ErrClosed) || s.ctx != nil && s.ctx.Err() != nil {
		return ErrClosed
	}
	return err
}

// Context ends when the store is closed, or its node stops.
func (s *Store) Context() context.Context { return s.ctx }

// Close ends the store on this node: leases are no longer renewed, their contexts end. It does not release them; see
// Lease.Release.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	s.conn.Close()
	return nil
}

// spawn runs f on a goroutine that Close waits for, unless the store has been closed.
func (s *Store) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
}

// subject is where a key is. Keys may hold any bytes.
func subject(key string) string {
	return subjectPrefix + "k." + base64.RawURLEncoding.EncodeToString([]byte(key))
}

// keyOf is the reverse; ok is false for what is no key.
func keyOf(subj string) (key string, ok bool) {
	text, ok := strings.CutPrefix(subj, subjectPrefix+"k.")
	if !ok {
		return "", false
	}
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return string(data), err == nil
}

func check(key string, value []byte) error {
	switch {
	case key == "" || len(key) > MaxKey:
		return fmt.Errorf("%w: a key has 1 to %d bytes, this one %d", ErrBadKey, MaxKey, len(key))
	case len(value) > MaxValue:
		return fmt.Errorf("%w: a value has up to %d bytes, this one %d", ErrBadKey, MaxValue, len(value))
	}
	return nil
}
