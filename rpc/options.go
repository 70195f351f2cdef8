package rpc

import (
	"fmt"
	"time"
)

// Defaults and limits.
const (
	// DefaultTimeout bounds a call whose context has no deadline and that has no option that says otherwise.
	DefaultTimeout = 5 * time.Second
	// DefaultLimit is how many calls a node runs at once.
	DefaultLimit = 10_000
	// DefaultWindow is for how long the answer to a call with an idempotency key is kept.
	DefaultWindow = 5 * time.Minute
	// DefaultCredit is how many items of a stream may be on the way or waiting to be read.
	DefaultCredit = 64
	// maxTimeout is the longest timeout that there is, about 49 days (ERPC-11).
	maxTimeout = (1<<32 - 1) * time.Millisecond
)

// Option changes how a Server works; see New.
type Option func(*settings) error

type settings struct {
	timeout   time.Duration
	limit     int
	window    time.Duration
	serve     []Middleware
	call      []Middleware
	bare      bool
	onceLimit int
	onceBytes int
}

// WithDefaultTimeout replaces DefaultTimeout: more than 0, at most 2^32-1 milliseconds.
func WithDefaultTimeout(d time.Duration) Option {
	return func(s *settings) error {
		if d <= 0 || d > maxTimeout {
			return fmt.Errorf("%w: default timeout %s", ErrBadArgument, d)
		}
		s.timeout = d
		return nil
	}
}

// WithLimit replaces DefaultLimit: how many calls this node runs at once, at least 1. The next one fails with
// ErrOverload.
func WithLimit(n int) Option {
	return func(s *settings) error {
		if n < 1 {
			return fmt.Errorf("%w: limit %d", ErrBadArgument, n)
		}
		s.limit = n
		return nil
	}
}

// WithWindow replaces DefaultWindow: how long an idempotency key is remembered after its call has ended. Beyond
// maxKeys keys or maxBytes bytes of remembered answers, further calls with a key fail with ErrOverload rather than
// forget one early. Zero numbers mean 10,000 keys and 64 MiB.
func WithWindow(d time.Duration, maxKeys, maxBytes int) Option {
	return func(s *settings) error {
		if d <= 0 || maxKeys < 0 || maxBytes < 0 {
			return fmt.Errorf("%w: window %s, %d keys, %d bytes", ErrBadArgument, d, maxKeys, maxBytes)
		}
		s.window = d
		if maxKeys > 0 {
			s.onceLimit = maxKeys
		}
		if maxBytes > 0 {
			s.onceBytes = maxBytes
		}
		return nil
	}
}

// WithMiddleware wraps every function that this node serves. The first middleware is the outermost. It sees the
// Request as it came in, and what the function returned.
func WithMiddleware(mw ...Middleware) Option {
	return func(s *settings) error { s.serve = append(s.serve, mw...); return nil }
}

// WithCallMiddleware wraps every request that this node makes, also to itself. The first middleware is the outermost.
// It may replace the Request's Header. What the inner handler returns is the undecoded answer: a Raw, or the value
// itself from this node, nil for a cast, or Items for a stream. The context it passes on must be derived from its own.
func WithCallMiddleware(mw ...Middleware) Option {
	return func(s *settings) error { s.call = append(s.call, mw...); return nil }
}

// WithoutBuiltins leaves out the functions that every node otherwise serves (kith.echo and so on).
func WithoutBuiltins() Option {
	return func(s *settings) error { s.bare = true; return nil }
}

// RegisterOption changes how one function is served.
type RegisterOption func(*function) error

// MaxConcurrent bounds how many calls of the function run at once, at least 1, within the limit of the node. The next
// one fails with ErrOverload.
func MaxConcurrent(n int) RegisterOption {
	return func(f *function) error {
		if n < 1 {
			return fmt.Errorf("%w: limit %d", ErrBadArgument, n)
		}
		f.limit = int64(n)
		return nil
	}
}

// Wrapped wraps the one function in middleware, inside that of the server.
func Wrapped(mw ...Middleware) RegisterOption {
	return func(f *function) error { f.handler = chain(f.handler, mw); return nil }
}

// chain wraps h so that the first middleware is the outermost.
func chain(h Handler, mw []Middleware) Handler {
	for i := len(mw) - 1; i >= 0; i-- {
		h = mw[i](h)
	}
	return h
}

// CallOption changes one call. It is a value, not a function, so that options cost no allocation.
type CallOption struct {
	kind optionKind
	d    time.Duration
	k, v string
	n    int
}

type optionKind uint8

const (
	optTimeout optionKind = iota + 1
	optNoTimeout
	optKey
	optHeader
	optCredit
)

// Timeout bounds the call: from 0, which sends the request and fails with ErrTimeout at once (ERPC-10), to 2^32-1
// milliseconds. A deadline of the context that comes earlier still holds.
func Timeout(d time.Duration) CallOption { return CallOption{kind: optTimeout, d: d} }

// NoTimeout lets the call wait for as long as there is a session with the node (ERPC-51). A deadline of the context
// still holds.
func NoTimeout() CallOption { return CallOption{kind: optNoTimeout} }

// IdempotencyKey makes the called node run the function at most once for that key, of 1 to 255 bytes: while the first
// call runs, further ones wait for its answer; once it has ended, they get the same answer, for as long as the called
// node's window lasts (WithWindow). So a call whose outcome is unknown can be repeated. Keys belong to a function and
// must be unique across callers. Streams leave it out of account.
func IdempotencyKey(key string) CallOption { return CallOption{kind: optKey, k: key} }

// WithHeader sends the pair along; see Header.
func WithHeader(key, value string) CallOption { return CallOption{kind: optHeader, k: key, v: value} }

// Credit replaces DefaultCredit for one stream: at least 1, at most 1,048,576 items.
func Credit(n int) CallOption { return CallOption{kind: optCredit, n: n} }

// callOptions is what a list of CallOptions amounts to.
type callOptions struct {
	timeout time.Duration // negative: none given
	none    bool          // NoTimeout
	key     string
	header  Header
	credit  int
}

func readOptions(opts []CallOption) (callOptions, error) {
	o := callOptions{timeout: -1, credit: DefaultCredit}
	for _, opt := range opts {
		switch opt.kind {
		case optTimeout:
			if opt.d < 0 || opt.d > maxTimeout {
				return o, fmt.Errorf("%w: timeout %s", ErrBadArgument, opt.d)
			}
			o.timeout, o.none = opt.d, false
		case optNoTimeout:
			o.timeout, o.none = -1, true
		case optKey:
			if len(opt.k) == 0 || len(opt.k) > maxKey {
				return o, fmt.Errorf("%w: idempotency key of %d bytes", ErrBadArgument, len(opt.k))
			}
			o.key = opt.k
		case optHeader:
			if o.header == nil {
				o.header = make(Header)
			}
			o.header[opt.k] = opt.v
		case optCredit:
			if opt.n < 1 || opt.n > maxCredit {
				return o, fmt.Errorf("%w: credit %d", ErrBadArgument, opt.n)
			}
			o.credit = opt.n
		}
	}
	return o, checkHeader(o.header)
}

func checkHeader(h Header) error {
	size := 0
	for k, v := range h {
		if k == "" {
			return fmt.Errorf("%w: empty header key", ErrBadArgument)
		}
		size += len(k) + len(v)
	}
	if len(h) > maxHeaderPairs || size > maxHeaderBytes {
		return fmt.Errorf("%w: header of %d pairs and %d bytes", ErrBadArgument, len(h), size)
	}
	return nil
}
