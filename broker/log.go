package broker

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/internal/sparse"
)

// serverLog is the embedded server's logger. It passes lines on to zerolog, turns the server's fatal errors into an
// error for Start, and reads route events out of a few lines, since the server has no other hook for them.
//
// The server calls it while it holds its own locks: nothing here may block or call back into the server. Events are
// recognised by the format and by the types of the arguments, before anything is formatted.
type serverLog struct {
	log     zerolog.Logger
	keys    *keyring // nil in plain text
	onRoute func(RouteEvent)

	listening chan struct{} // closed when the cluster listener is bound
	failed    chan struct{} // closed at the first fatal error

	mu          sync.Mutex // guards the fields below
	fatal       error
	isListening bool
	warnings    map[string]*sparse.Gate // of connections, by what they are about
}

func newServerLog(log zerolog.Logger, keys *keyring, onRoute func(RouteEvent)) *serverLog {
	if onRoute == nil {
		onRoute = func(RouteEvent) {}
	}
	return &serverLog{
		log: log, keys: keys, onRoute: onRoute,
		listening: make(chan struct{}), failed: make(chan struct{}), warnings: map[string]*sparse.Gate{},
	}
}

// The endings of the server's formats that matter here. A connection puts "address - rid:n - " before its own.
const (
	formatListening  = "Listening for route connections on %s"
	formatRegistered = "Registering remote route %q"
	formatAccount    = "Registering remote route %q for account %q"
	formatLeafUp     = "Leafnode connection created%s %s"
	formatClosed     = "%s connection closed: %s"
	formatClosedBy   = "%s connection closed: %s - %s"
	formatHandshake  = "TLS %s handshake error: %v%s"
	// formatDial is a dial that failed. Each try has its line, and gossip has every server try a node that was there for
	// a moment: whom to dial, and what to say of those who do not answer, is for the keeper of the routes.
	formatDial = "Error trying to connect to route (attempt %v): %v"
	// formatFlushing and formatDialling come whenever a peer ends or is not there, which the owner of the routes knows.
	formatFlushing = "Error flushing: %v"
	formatDialling = "Error trying to connect to route"
	// formatPlaintext warns of passwords in the configuration. The only one is made at random by Start, kept in memory,
	// and accepted from in-process connections alone.
	formatPlaintext = "Plaintext passwords detected, use nkeys or bcrypt"
	// formatDomain warns of the option that opens the stores to leaf nodes.
	formatDomain = "The option `default_js_domain` is a temporary"
	// formatLeafDial is a server that a leaf cannot reach. Each account has a connection, and so a line of its own.
	formatLeafDial = "Error trying to connect as leafnode to remote server %q (attempt %v): %v"
	// formatInsecure warns of routes that are not verified. They are: by the keyring, where the server does not look.
	formatInsecure = "TLS certificate chain and hostname of solicited routes will not be verified. DO NOT USE IN PRODUCTION!"
)

// Noticef implements server.Logger.
func (l *serverLog) Noticef(format string, v ...any) {
	switch {
	case strings.HasSuffix(format, formatClosed), strings.HasSuffix(format, formatClosedBy):
		l.closed(format, v)
	case strings.HasSuffix(format, formatLeafUp):
		l.onRoute(RouteEvent{Kind: RouteUnknown, Detail: fmt.Sprintf(format, v...)})
	case format == formatListening:
		l.bound()
	}
	l.log.Debug().Msgf(format, v...)
}

// Debugf implements server.Logger.
func (l *serverLog) Debugf(format string, v ...any) {
	switch {
	case strings.HasSuffix(format, formatRegistered) && len(v) == 1:
		l.onRoute(RouteEvent{Kind: RouteUp, RemoteID: fmt.Sprint(v[0]), Account: App, Detail: connectionOf(format)})
	case strings.HasSuffix(format, formatAccount) && len(v) == 2:
		l.onRoute(RouteEvent{
			Kind: RouteUp, RemoteID: fmt.Sprint(v[0]), Account: Account(fmt.Sprint(v[1])), Detail: connectionOf(format),
		})
	}
	l.log.Trace().Msgf(format, v...)
}

// Warnf implements server.Logger.
func (l *serverLog) Warnf(format string, v ...any) {
	if format == formatPlaintext || format == formatInsecure || strings.HasPrefix(format, formatDomain) {
		return
	}
	l.warn(about(format, v), format, v)
}

// Errorf implements server.Logger. The server goes on after such a line, so it is a warning here.
func (l *serverLog) Errorf(format string, v ...any) {
	if format == formatDial {
		l.log.Debug().Msgf(format, v...)
		return
	}
	if strings.HasSuffix(format, formatFlushing) || strings.HasPrefix(format, formatDialling) {
		l.log.Debug().Msgf(format, v...)
		return
	}
	subject := about(format, v)
	switch {
	case format == formatLeafDial:
		subject = aboutHandshakes
	case strings.HasSuffix(format, formatHandshake) && len(v) == 3:
		l.refused(format, v)
		subject = aboutHandshakes
	}
	l.warn(subject, format, v)
}

// warn logs a line as a warning, or at debug where there was one about the same a moment ago. What is about nothing that
// strangers can repeat has no subject and is always a warning.
func (l *serverLog) warn(subject, format string, v []any) {
	if subject == "" {
		l.log.Warn().Msgf(format, v...)
		return
	}
	now, leftOut := l.mayWarn(subject)
	if !now {
		l.log.Debug().Msgf(format, v...)
		return
	}
	event := l.log.Warn()
	if leftOut > 0 {
		event = event.Int("left_out", leftOut)
	}
	event.Msgf(format, v...)
}

// aboutHandshakes is the subject of lines about peers that are refused, or not there, apart from what else is said of
// routes.
const aboutHandshakes = "handshakes"

// about returns the kind of the connection that a line is about, such as cid for clients, or nothing if it is about none, or
// about one of this process. Everybody who reaches a port can have the server say such lines as often as he likes.
func about(format string, v []any) string {
	if strings.HasPrefix(format, "%s - ") && len(v) > 0 { // a line of which the server limits the repetitions itself
		format = fmt.Sprint(v[0]) + " - "
	}
	address, rest, _ := strings.Cut(format, " - ")
	kind, _, numbered := strings.Cut(rest, ":")
	if !numbered || address == "" || address == "pipe" {
		return ""
	}
	switch kind {
	case "cid", "wid", "mid", "mid_ws", "rid", "gid", "lid", "lid_ws":
		return kind
	}
	return ""
}

// Fatalf implements server.Logger. It keeps the first fatal error for Start, which returns it, or tries the next port; the
// process lives on.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	level := zerolog.DebugLevel
	if l.isListening {
		level = zerolog.ErrorLevel // nobody else would say so
	}
	l.log.WithLevel(level).Msgf(format, v...)
	if l.fatal == nil {
		l.fatal = startError(fmt.Sprintf(format, v...), v)
		close(l.failed)
	}
}

// Tracef implements server.Logger. Tracing shows payloads and stays off.
func (l *serverLog) Tracef(string, ...any) {}

// mayWarn reports whether it is time to warn about a subject again, and how many warnings were left out since.
func (l *serverLog) mayWarn(subject string) (now bool, leftOut int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.warnings[subject]
	if s == nil {
		s = &sparse.Gate{}
		l.warnings[subject] = s
	}
	return s.Next(time.Now())
}

func (l *serverLog) bound() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.isListening {
		l.isListening = true
		close(l.listening)
	}
}

func (l *serverLog) fatalError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

// closed reports the end of a route or leaf connection. Connections that never said who they are, such as probes, are
// neither and go unreported, unless what went wrong is worth knowing.
func (l *serverLog) closed(format string, v []any) {
	if len(v) < 2 || v[0] != "Router" && v[0] != "Leafnode" {
		return
	}
	state, ok := v[1].(server.ClosedState)
	if !ok {
		l.onRoute(RouteEvent{Kind: RouteUnknown, Detail: fmt.Sprintf(format, v...)})
		return
	}
	remote := ""
	if len(v) == 3 {
		remote = strings.TrimPrefix(fmt.Sprint(v[2]), "Remote: ")
	}
	reason := closeReasons[state]
	if reason == CloseTLS {
		return // the handshake's own line came before and says more
	}
	if remote == "" && !reason.refusal() {
		return
	}
	kind := RouteDown
	if v[0] == "Leafnode" {
		kind = LeafDown
	}
	event := RouteEvent{
		Kind: kind, Remote: remote, Reason: reason, ByPeer: reason.ByPeer(),
		Detail: fmt.Sprintf("%s: %s", connectionOf(format), state),
	}
	if reason.refusal() {
		event.Kind = RouteRefused
		event.Detail = fmt.Sprintf("%s: %s", connectionOf(format), reason)
	}
	l.onRoute(event)
}

func (l *serverLog) refused(format string, v []any) {
	event := RouteEvent{Kind: RouteRefused, Reason: CloseTLS}
	cause, _ := v[1].(error)
	if known := l.keys.handshakeError(cause); known != nil {
		event.Detail = fmt.Sprintf("%s: %v", connectionOf(format), known)
	} else {
		event.Detail = fmt.Sprintf("%s: TLS handshake: %v", connectionOf(format), v[1])
	}
	l.onRoute(event)
}

// connectionOf returns the address before a connection's own format: of "1.2.3.4:5 - rid:7 - text" the first part.
func connectionOf(format string) string {
	address, _, found := strings.Cut(format, " - ")
	if !found {
		return ""
	}
	return address
}
