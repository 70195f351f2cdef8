package quorum

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ChangeKind says what a Change is about.
type ChangeKind uint8

// The kinds of changes.
const (
	// Held: the key is held as Holder says. It comes again when the value or the members change, and with each renewal.
	Held ChangeKind = iota + 1
	// Freed: nobody holds the key any more.
	Freed
	// Synced: all that was held when the watch began, or began anew, has been told.
	Synced
)

// String is the kind in lower case.
func (k ChangeKind) String() string {
	switch k {
	case Held:
		return "held"
	case Freed:
		return "freed"
	case Synced:
		return "synced"
	}
	return fmt.Sprintf("change-%d", uint8(k))
}

// Change is one change of one key, as the stores have agreed on it.
type Change struct {
	Kind ChangeKind
	Key  string
	// Holder is who holds the key, if it is Held.
	Holder Holder
	// Revision orders all changes. Of Synced it is the last that was told.
	Revision uint64
	// Missed says that this Freed was found out only later, when the watch began anew; Revision is that of the last Held.
	// Or that something else has written the key, at Revision.
	Missed bool
	// Expired says that a Freed key was not released: its time was over. Why is what ReleaseFor was given.
	Expired bool
	Why     string
}

// Watch tells the changes of all keys with a prefix: first what is held, then Synced, then the changes in the order of the
// stores. They keep of each key only the last one: of several that follow each other before they are told, that one is told.
// When it has lost touch with the stores it begins anew by itself: it tells what has changed meanwhile, each key once, and
// Synced. It ends with Close or with the store.
type Watch struct {
	s      *Store
	prefix string
	filter string // subjects of the keys
	id     string
	tell   func(Change)
	ctx    context.Context
	cancel context.CancelFunc
	known  map[string]uint64 // keys that are held, and when they were told last; of the running goroutine

	mu   sync.Mutex // guards the fields below
	last uint64     // revision that was dealt with
	news chan struct{}
}

// Watch begins to watch the keys that begin with prefix; the empty prefix is all. tell is called for each change, from one
// goroutine; while it blocks, this watch stands still, and the last change of each key waits in the stores. Each change of
// any key costs one message to each watching node, renewals included, whatever the prefix is: see WatchKey.
func (s *Store) Watch(prefix string, tell func(Change)) *Watch {
	return s.watch(prefix, subjectPrefix+"k.>", tell)
}

// WatchKey is Watch for one key, one that Acquire takes. Changes of others cost nothing.
func (s *Store) WatchKey(key string, tell func(Change)) *Watch {
	return s.watch(key, subject(key), tell)
}

func (s *Store) watch(prefix, filter string, tell func(Change)) *Watch {
	w := &Watch{
		s: s, prefix: prefix, filter: filter, id: rand.Text(), tell: tell,
		known: map[string]uint64{}, news: make(chan struct{}),
	}
	w.ctx, w.cancel = context.WithCancel(s.ctx)
	s.spawn(w.run)
	return w
}

// Close ends the watch; tell may be called once more. It may be called more than once, and by anybody.
func (w *Watch) Close() { w.cancel() }

// Sync returns when tell has been called, and has returned, for all changes that the stores had agreed on when Sync was
// called. It blocks within ctx. Errors: ErrNoQuorum, ErrClosed.
func (w *Watch) Sync(ctx context.Context) error {
	var mark uint64
	publish := func(ctx context.Context) (err error) {
		mark, err = w.s.publish(ctx, &nats.Msg{Subject: syncSubject + w.id, Header: nats.Header{}},
			[]jetstream.PublishOpt{jetstream.WithMsgTTL(syncMark), jetstream.WithRetryAttempts(0)})
		return err
	}
	if err := w.s.try(ctx, publish); err != nil {
		return w.s.mapError(err)
	}
	// A watch that stood still, or had to begin anew, for longer than the mark is kept does not meet it any more.
	again := time.NewTicker(syncMark / 2)
	defer again.Stop()
	for {
		w.mu.Lock()
		last, news := w.last, w.news
		w.mu.Unlock()
		if last >= mark {
			return nil
		}
		select {
		case <-news:
		case <-again.C:
			if err := w.s.try(ctx, publish); err != nil {
				return w.s.mapError(err)
			}
		case <-w.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrNoQuorum, ctx.Err())
		}
	}
}

// syncMark is how long the stores keep the mark of a Sync.
const syncMark = time.Minute

// run watches, and begins anew when it has lost touch.
func (w *Watch) run() {
	for w.ctx.Err() == nil {
		if err := w.session(); err != nil && w.ctx.Err() == nil {
			w.s.counters.anew.Add(1)
			w.s.log.Debug().Err(err).Msg("watch of the stores begins anew")
		}
		select {
		case <-time.After(pause):
		case <-w.ctx.Done():
		}
	}
}

// Times of a watch. Two heartbeats that are missing end a session, as does a store that does not answer.
const (
	heartbeat = time.Second
	expiry    = 10 * time.Second
	forgotten = 30 * time.Second // when the stores forget a watch that does not ask any more
)

// errGap says that messages of a session are missing.
var errGap = errors.New("messages are missing")

// session tells what is held and what changes until something is missing.
func (w *Watch) session() error {
	ctx, cancel := context.WithTimeout(w.ctx, attempt)
	defer cancel()
	c, err := w.s.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubjects: []string{w.filter, syncSubject + w.id}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
		AckPolicy: jetstream.AckNonePolicy, Replicas: 1, MemoryStorage: true, InactiveThreshold: forgotten,
	})
	if err != nil {
		return err
	}
	name := c.CachedInfo().Name
	defer func() { // nobody waits for that: the stores forget it anyway
		_ = w.s.conn.Publish("$JS.API.CONSUMER.DELETE.KV_"+bucketName+"."+name, nil)
	}()
	msgs, err := c.Messages(jetstream.PullHeartbeat(heartbeat), jetstream.PullExpiry(expiry))
	if err != nil {
		return err
	}
	defer msgs.Stop()
	defer context.AfterFunc(w.ctx, msgs.Stop)()
	return w.follow(msgs, c.CachedInfo().NumPending)
}

func (w *Watch) follow(msgs jetstream.MessagesContext, pending uint64) error {
	fresh := map[string]bool{} // what has been told to be held, until Synced
	var number, last uint64
	if pending == 0 {
		w.synced(fresh, last)
		fresh = nil
	}
	for {
		m, err := msgs.Next()
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if number++; meta.Sequence.Consumer != number {
			return fmt.Errorf("%w: %d to %d", errGap, number, meta.Sequence.Consumer-1)
		}
		last = meta.Sequence.Stream
		w.message(m, last, fresh)
		if fresh != nil && meta.NumPending == 0 {
			w.synced(fresh, last)
			fresh = nil
		}
		if fresh == nil {
			w.dealt(last)
		}
	}
}

// message tells what one message says.
func (w *Watch) message(m jetstream.Msg, revision uint64, fresh map[string]bool) {
	key, ok := keyOf(m.Subject())
	if !ok || !strings.HasPrefix(key, w.prefix) {
		return
	}
	if h := m.Headers(); isMarker(h) {
		if _, held := w.known[key]; held {
			delete(w.known, key)
			w.tell(Change{Kind: Freed, Key: key, Revision: revision, Expired: h.Get("Nats-Marker-Reason") == "MaxAge", Why: h.Get(headerWhy)})
		}
		return
	}
	r, err := decode(key, m.Data())
	if err != nil {
		w.s.counters.badRecords.Add(1)
		w.s.log.Warn().Err(err).Msg("record of a lease left out")
		if _, held := w.known[key]; held { // whoever held it does not any more
			delete(w.known, key)
			w.tell(Change{Kind: Freed, Key: key, Revision: revision, Missed: true})
		}
		return
	}
	if fresh != nil {
		fresh[key] = true
	}
	if w.known[key] != revision { // else it is from before the watch began anew
		w.known[key] = revision
		w.tell(Change{Kind: Held, Key: key, Holder: r.holder(revision), Revision: revision})
	}
}

// synced tells what is not held any more, and that this was all.
func (w *Watch) synced(fresh map[string]bool, last uint64) {
	for key, revision := range w.known {
		if !fresh[key] {
			delete(w.known, key)
			w.tell(Change{Kind: Freed, Key: key, Revision: revision, Missed: true})
		}
	}
	w.tell(Change{Kind: Synced, Revision: last})
}

// dealt wakes those who wait for a revision.
func (w *Watch) dealt(revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = revision
	close(w.news)
	w.news = make(chan struct{})
}
