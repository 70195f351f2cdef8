package history

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
)

// Limits of what is kept.
const (
	// MaxName is the greatest length of a log's name, whose characters are letters, digits, - and _.
	MaxName = 32
	// MaxTopic is the greatest length of a topic, in bytes. The least is 1; the bytes may be any.
	MaxTopic = 255
	// MaxID is the greatest length of a record's ID, in bytes.
	MaxID = 128
	// MaxData is the greatest size of a record's data, in bytes.
	MaxData = 64 << 10
	// MaxPage is how many records or entries one call takes.
	MaxPage = 1000
)

// What a log keeps where its Config says nothing.
const (
	// DefaultAge is how long.
	DefaultAge = 30 * 24 * time.Hour
	// DefaultBytes is how much, on each store.
	DefaultBytes = 256 << 20
	// DefaultReplicas is on how many stores.
	DefaultReplicas = 3
)

const (
	// duplicates is how long the ID of a record is remembered.
	duplicates = 2 * time.Minute
	// attempt bounds one request to the stores; a call goes on until its own context ends.
	attempt = 2 * time.Second
	// pause is the time between two attempts.
	pause = 50 * time.Millisecond
	// absence is how long nobody is asked again after no store has answered.
	absence = time.Second
)

// Config says what a log keeps. What is about keeping counts when the log is made, by the first call of any node.
type Config struct {
	// Name is the log's name in the mesh: 1 to MaxName letters, digits, - and _.
	Name string
	// MaxAge is how long an entry is kept. Zero: DefaultAge. The least is a second.
	MaxAge time.Duration
	// MaxBytes is how much the whole log takes on each store before the oldest entries go. The stores reserve that room.
	// Zero: DefaultBytes.
	MaxBytes int64
	// MaxEntries is how many entries each topic has at most. Zero: no limit.
	MaxEntries int64
	// Replicas is on how many stores each entry is kept: 1, 3 or 5. Zero: DefaultReplicas.
	Replicas int
}

func (c *Config) check() error {
	switch {
	case c.Name == "" || len(c.Name) > MaxName || strings.Trim(c.Name, nameCharacters) != "":
		return fmt.Errorf("%w: the name of a log is 1 to %d letters, digits, - and _, not %q", ErrBadArgument, MaxName, c.Name)
	case c.MaxAge < 0 || c.MaxAge > 0 && c.MaxAge < time.Second:
		return fmt.Errorf("%w: an age of %v is under a second", ErrBadArgument, c.MaxAge)
	case c.MaxBytes < 0 || c.MaxEntries < 0:
		return fmt.Errorf("%w: a size below zero", ErrBadArgument)
	}
	switch c.Replicas {
	case 0, 1, 3, 5:
		return nil
	}
	return fmt.Errorf("%w: %d replicas: 1, 3 or 5 are possible", ErrBadArgument, c.Replicas)
}

const nameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// Log is a log of the mesh as one node reaches it. All its methods may be called concurrently.
type Log struct {
	n      *node.Node
	cfg    Config
	log    zerolog.Logger
	ctx    context.Context
	cancel context.CancelFunc
	taking atomic.Bool // the stores took the last records that were sent

	mu     sync.Mutex // guards the fields below
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream // nil until the log is known to be there
	absent time.Time        // until then no store is asked
}

// New returns a log. It asks nobody: the log is made by the first call that needs it. Errors: ErrBadArgument, ErrClosed.
func New(n *node.Node, cfg Config) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if n.Context().Err() != nil {
		return nil, ErrClosed
	}
	if cfg.MaxAge == 0 {
		cfg.MaxAge = DefaultAge
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = DefaultBytes
	}
	if cfg.MaxEntries == 0 {
		cfg.MaxEntries = -1
	}
	if cfg.Replicas == 0 {
		cfg.Replicas = DefaultReplicas
	}
	l := &Log{n: n, cfg: cfg, log: n.Log().With().Str("component", "history").Str("log", cfg.Name).Logger()}
	l.ctx, l.cancel = context.WithCancel(n.Context())
	return l, nil
}

// Close ends the log on this node: calls return ErrClosed, Follow ends with it. What is kept stays. Calling it again is
// harmless; when the node stops, its logs are closed.
func (l *Log) Close() error {
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
	return nil
}

// Ready returns nil when the stores answer and the log is there; it makes it if this is the first time. Every other call
// does this by itself. It blocks within ctx; when no store answers, not for long. Errors: ErrNoStores, ErrUnavailable,
// ErrClosed.
func (l *Log) Ready(ctx context.Context) error {
	return l.ask(ctx, func(context.Context, *nats.Conn, jetstream.Stream) error { return nil })
}

// stores is the connection, made on first use.
func (l *Log) stores() (*nats.Conn, jetstream.JetStream, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ctx.Err() != nil:
		return nil, nil, ErrClosed
	case time.Now().Before(l.absent):
		return nil, nil, ErrNoStores
	case l.conn != nil:
		return l.conn, l.js, nil
	}
	conn, js, err := l.n.Stores()
	if errors.Is(err, node.ErrClosed) {
		return nil, nil, ErrClosed
	}
	if err != nil {
		return nil, nil, err
	}
	l.conn, l.js = conn, js
	return conn, js, nil
}

// ask has f ask the stores for the log, which is made or found first if it is not known to be there. It is tried again
// while it fails in passing.
func (l *Log) ask(ctx context.Context, f func(context.Context, *nats.Conn, jetstream.Stream) error) error {
	return l.try(ctx, func(ctx context.Context) error {
		conn, js, err := l.stores()
		if err != nil {
			return err
		}
		stream, err := l.find(ctx, js)
		if err == nil {
			err = f(ctx, conn, stream)
		}
		return l.reach(ctx, js, err)
	})
}

// find is the log, which it makes if nobody has.
func (l *Log) find(ctx context.Context, js jetstream.JetStream) (jetstream.Stream, error) {
	l.mu.Lock()
	stream := l.stream
	l.mu.Unlock()
	if stream != nil {
		return stream, nil
	}
	stream, err := js.Stream(ctx, l.streamName())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, l.streamConfig())
	}
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream = stream
	return stream, nil
}

// reach finds out whether an error means that there is nobody at all.
func (l *Log) reach(ctx context.Context, js jetstream.JetStream, err error) error {
	gone := errors.Is(err, jetstream.ErrStreamNotFound)
	if !gone && !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		return err
	}
	_, info := js.AccountInfo(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream = nil // should somebody have deleted it, the next attempt makes it anew
	if !errors.Is(info, jetstream.ErrJetStreamNotEnabled) {
		return err // somebody is up: it will pass
	}
	l.absent = time.Now().Add(absence)
	return ErrNoStores
}

func (l *Log) streamName() string { return "kith_log_" + l.cfg.Name }

// prefix begins the subjects of the log's topics.
func (l *Log) prefix() string { return "kith.log." + l.cfg.Name + "." }

func (l *Log) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: l.streamName(), Description: "kith: log " + l.cfg.Name, Subjects: []string{l.prefix() + "*"},
		MaxAge: l.cfg.MaxAge, MaxBytes: l.cfg.MaxBytes, MaxMsgsPerSubject: l.cfg.MaxEntries, Replicas: l.cfg.Replicas,
		Storage: jetstream.FileStorage, Discard: jetstream.DiscardOld, AllowDirect: true,
		Duplicates: min(duplicates, l.cfg.MaxAge), MaxMsgSize: MaxData + 1024, // with its headers
	}
}

// subject is where a topic is.
func (l *Log) subject(topic string) string {
	return l.prefix() + base64.RawURLEncoding.EncodeToString([]byte(topic))
}

// try runs f until it succeeds, fails for good, or ctx ends. What may pass is tried again.
func (l *Log) try(ctx context.Context, f func(context.Context) error) error {
	for {
		limited, cancel := context.WithTimeout(ctx, attempt)
		stop := context.AfterFunc(l.ctx, cancel) // an answer is awaited no longer than there is a log
		err := f(limited)
		stop()
		cancel()
		switch {
		case err == nil, errors.Is(err, ErrNoStores), errors.Is(err, ErrBadArgument), errors.Is(err, ErrClosed):
			return err
		case errors.Is(err, nats.ErrConnectionClosed):
			l.reconnect()
		}
		l.log.Debug().Err(err).Msg("the stores are asked again")
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("%w: %w (last answer: %w)", ErrUnavailable, ctx.Err(), err)
		}
	}
}

// reconnect has the next attempt connect anew.
func (l *Log) reconnect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn, l.js, l.stream = nil, nil, nil
}

func checkTopic(topic string) error {
	if topic == "" || len(topic) > MaxTopic {
		return fmt.Errorf("%w: a topic has 1 to %d bytes, this one %d", ErrBadArgument, MaxTopic, len(topic))
	}
	return nil
}
