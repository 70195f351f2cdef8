package broker

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/internal/sparse"
)

// Account is a space of subjects with connections of its own. Nothing crosses from one to another, and each has its own
// TCP connection between two servers, so order exists within an account only.
type Account string

const (
	// App carries sessions and their frames.
	App Account = "APP"
	// Control carries ticks, acknowledgements and goodbyes.
	Control Account = "CTL"
	// systemAccount is the server's own; no connection is given out for it.
	systemAccount = "SYS"
)

const (
	// connectTimeout bounds the hand-shake of an in-process connection. It takes well under a millisecond on an idle
	// machine; the bound is for one that is overloaded.
	connectTimeout = 5 * time.Second
	// reconnectWait is the pause before a connection that the server cut comes back.
	reconnectWait = 50 * time.Millisecond
	// listenPoll is how often Start looks whether the listener stands, should the server not say so.
	listenPoll = 5 * time.Millisecond
	// flushTimeout bounds how long Shutdown waits for one in-process connection to hand over what it holds.
	flushTimeout = time.Second
	// closeTimeout bounds Close. What the server waits for longer is a handshake with somebody who says nothing.
	closeTimeout = 5 * time.Second
)

// Config says how to run the broker. Mesh, ServerName and, unless Plaintext is set or Mode is External, Cookie or Certificate
// are required.
type Config struct {
	// Mode says what stands behind it. Zero: Embedded.
	Mode Mode
	// Servers is who a Leaf or External broker connects to, tried in this order: leaf ports HOST:PORT of nodes of the mesh
	// (leaf://HOST:PORT is the same), or URLs of an external cluster, which may hold user and password
	// (HOST:PORT is nats://HOST:PORT).
	Servers []string
	// ServerOptions are for connections to an external cluster: credentials, TLS. They come after the defaults.
	ServerOptions []nats.Option
	// LeafListen is HOST:PORT, where port 0 is any free one, for leaf nodes. Empty: this server takes none. It needs the
	// cookie unless it is on loopback.
	LeafListen string
	// Mesh is the name of the mesh. Servers of another mesh are refused. No white space.
	Mesh string
	// ServerName must be unique in the mesh: a node's name plus its incarnation. No white space.
	ServerName string
	// Listen is the cluster listener, HOST:PORT or HOST:FROM-TO for the first free port of a range. Empty: 127.0.0.1:0,
	// any free port on loopback.
	Listen string
	// Advertise is the HOST:PORT handed to peers. Empty: what Listen got. The servers then hand on among themselves the
	// address of this host that they see, but who listens at every address, such as 0.0.0.0, has to say here which of them
	// others are to be told: see AdvertisedAddr.
	Advertise string
	// Cookie is the mesh's secret, at least 16 bytes. Mutual TLS on routes is derived from it and from Mesh.
	Cookie []byte
	// Accept, PeerCookies and Certificate are the further Credentials, which see.
	Accept      [][]byte
	PeerCookies map[string][]byte
	Certificate *Certificate
	// Node is the name of the node that this server is of, NAME@HOST. It stands in the certificate that is made of a cookie,
	// and a Certificate must be for it. Empty: none does.
	Node string
	// Plaintext turns TLS on routes off. It is refused with ErrInsecure unless Listen is on loopback.
	Plaintext bool
	// SNI is a DNS label sent in clear when this server dials, before ".kith.mesh". It lets a test network see who
	// dials; nothing trusts it. Empty: "node".
	SNI string
	// Clients opens a port for plain NATS clients. Nil: there is none.
	Clients *Clients
	// Store makes this server one of the mesh's stores. Nil: it is none, and runs without JetStream.
	Store *StoreConfig
	// Routes are HOST:PORT addresses to link to from the start; see SetRoutes.
	Routes []string
	// TickWindow is how long a peer may be silent before ticks give it up. Route pings and write deadlines are set
	// slower. Zero: 4 s.
	TickWindow time.Duration
	// MaxPayload is the greatest message in bytes, headers included, at most 8 MiB. Zero: 1 MiB.
	MaxPayload int
	// OnRoute is told of route connections that come and go. It is called from inside the server's locks, from several
	// goroutines, during Start too: it must neither block nor call the broker. May be nil.
	OnRoute func(RouteEvent)
	// Log takes the server's log: its notices at debug, its warnings and errors at warn. The zero Logger logs nothing.
	Log zerolog.Logger
}

// Broker is a running embedded server, or a client of external ones. All methods may be called concurrently.
type Broker struct {
	cfg    Config
	listen listenAddr
	keys   *keyring    // nil in plain text
	tls    *tls.Config // of keys
	// leafKeys and leafTLS are the same for leaf connections, at either end; nil where there are none.
	leafKeys *keyring
	leafTLS  *tls.Config
	secret   string         // of in-process connections; never leaves this process
	server   *server.Server // nil in mode External
	link     *nats.Conn     // the first connection in mode External
	// linkErrors bounds the lines about those: while a cluster refuses, each of them is refused several times a second.
	linkErrors sparse.Gate
	log        *serverLog
	addr       string
	port       int
	// clientPort is where clients connect, once it is bound.
	clientPort int
	// leafPort is where leaf nodes connect, once it is bound.
	leafPort int

	reload  sync.Mutex // serialises SetRoutes and Redial; guards the fields below
	seeds   []seed
	serials int // of seeds so far

	mu      sync.Mutex // guards the fields below
	conns   map[*nats.Conn]struct{}
	closed  bool
	stopped chan struct{} // closed when everything has ended
}

// Start runs the broker and returns when its listeners are bound and connections to it work; in mode External, when a
// server has answered. It waits neither for routes nor for leaf connections. ctx bounds the start only. Errors:
// ErrBadConfig, ErrInsecure, ErrCookieTooShort, ErrCertificate, ErrPortInUse, ErrListen, ErrStart, ErrNoServer, ctx.Err().
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	listen, err := parseListen(cfg.Listen)
	if err != nil {
		return nil, err
	}
	if cfg.Mode == External {
		if err := cfg.credentials().covers(cfg.Node); err != nil {
			return nil, err
		}
		cfg.Servers = slices.Clone(cfg.Servers)
		b := newBroker(cfg)
		if err := b.startExternal(ctx); err != nil {
			return nil, err
		}
		return b, nil
	}
	open := cfg.Plaintext || len(cfg.Cookie) == 0 && cfg.Certificate == nil
	if open && cfg.Mode == Embedded && !listen.isLoopback() {
		return nil, fmt.Errorf("%w: %s", ErrInsecure, cfg.Listen)
	}
	var keys, leafKeys *keyring
	if !cfg.Plaintext {
		if keys, leafKeys, err = cfg.keyrings(); err != nil {
			return nil, err
		}
	}
	cfg.Cookie, cfg.Accept, cfg.PeerCookies, cfg.Certificate = nil, nil, nil, nil // the keyrings have them
	for port := listen.from; ; port++ {
		b := newBroker(cfg)
		b.listen, b.port = listen, port
		b.useKeys(keys, leafKeys)
		err := b.run(ctx)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, ErrPortInUse) || port >= listen.to {
			return nil, err
		}
	}
}

func newBroker(cfg Config) *Broker {
	return &Broker{cfg: cfg, secret: rand.Text(), conns: make(map[*nats.Conn]struct{}), stopped: make(chan struct{})}
}

// run starts the server on b.port and waits until it listens.
func (b *Broker) run(ctx context.Context) error {
	seeds, err := b.nextSeeds(b.cfg.Routes, nil)
	if err != nil {
		return err
	}
	b.seeds = seeds
	options, err := b.serverOptions(b.port, seeds)
	if err != nil {
		return err
	}
	b.server, err = server.NewServer(options)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadConfig, err)
	}
	b.log = newServerLog(b.cfg.Log, b.keys, b.cfg.OnRoute)
	// Debug lines are on because one of them says that a route was registered. They are rare: none per message.
	b.server.SetLoggerV2(b.log, true, false, false)
	b.server.Start()
	ready := make(chan error, 1)
	go func() { ready <- b.awaitListener() }()
	// The server is never shut down before it has bound its listener or given up: in between it would leave it open.
	select {
	case err := <-ready:
		if err != nil {
			b.server.Shutdown()
		}
		return err
	case <-ctx.Done():
		go func() {
			<-ready
			b.server.Shutdown()
		}()
		return ctx.Err()
	}
}

// awaitListener waits until the cluster listener is bound, or the server says why it cannot be. That ends soon, except
// that looking up a host name to listen on takes what the resolver takes. A leaf's server has none.
func (b *Broker) awaitListener() error {
	if b.cfg.Mode == Leaf {
		return b.awaitLeaf()
	}
	poll := time.NewTicker(listenPoll)
	defer poll.Stop()
	listening := b.log.listening
	for {
		select {
		case <-b.log.failed:
			return b.log.fatalError()
		case <-listening:
			listening = nil
		case <-poll.C:
		}
		// The line comes while the server holds its lock, which ClusterAddr waits for.
		if a := b.server.ClusterAddr(); a != nil {
			b.addr, b.port = a.String(), a.Port
			if c, ok := b.server.Addr().(*net.TCPAddr); ok && b.cfg.Clients != nil {
				b.clientPort = c.Port
			}
			b.leafPort = b.boundLeafPort()
			return nil
		}
	}
}

// Addr returns the HOST:PORT that the cluster listener is bound to; it is empty in other modes than Embedded.
func (b *Broker) Addr() string { return b.addr }

// AdvertisedAddr returns the HOST:PORT at which peers reach this server: Config.Advertise, or else Addr, at which nobody
// reaches one that listens at every address.
func (b *Broker) AdvertisedAddr() string {
	if b.cfg.Advertise != "" {
		return b.cfg.Advertise
	}
	return b.addr
}

// Connect opens a connection to an account, in this process unless Mode is External. It comes back by itself, 50 ms after
// the server cut it; what is
// published in between fails at once. opts come after the defaults and may override them. The broker closes
// the connection when it shuts down; the caller may close it before. Errors: ErrClosed, ErrBadConfig, ErrNoServer.
func (b *Broker) Connect(a Account, opts ...nats.Option) (*nats.Conn, error) {
	if !knownAccount(a) {
		return nil, fmt.Errorf("%w: no account %q", ErrBadConfig, a)
	}
	if b.isClosed() {
		return nil, ErrClosed
	}
	nc, err := b.dial(a, opts)
	if err != nil {
		if b.isClosed() {
			return nil, ErrClosed
		}
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		nc.Close()
		return nil, ErrClosed
	}
	for old := range b.conns {
		if old.IsClosed() {
			delete(b.conns, old)
		}
	}
	b.conns[nc] = struct{}{}
	return nc, nil
}

func (b *Broker) dial(a Account, opts []nats.Option) (*nats.Conn, error) {
	if b.cfg.Mode == External {
		return b.dialExternal(a, opts)
	}
	nc, err := nats.Connect("", append(b.clientOptions(a), opts...)...)
	if err != nil {
		return nil, fmt.Errorf("in-process connection: %w", err)
	}
	return nc, nil
}

func (b *Broker) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}

// Shutdown hands on to the peers what was published on the connections given out, closes those, and stops the server. It
// waits for the end within ctx; when it returns ctx.Err() the rest ends by itself soon after. It may be called again, and
// from several goroutines.
func (b *Broker) Shutdown(ctx context.Context) error {
	b.stop(flushTimeout)
	select {
	case <-b.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close closes the connections given out and stops the server. What was published shortly before may be lost. It takes a
// few milliseconds; where a peer that does not answer is just being dialled, up to 3 s.
func (b *Broker) Close() error {
	b.stop(0)
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case <-b.stopped:
		return nil
	case <-timeout.C:
		return fmt.Errorf("broker did not end within %v", closeTimeout)
	}
}

// stop begins the end, once. Each connection may take up to flush to hand over what it holds; zero means not at all.
func (b *Broker) stop(flush time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	b.closed = true
	conns := b.conns
	b.conns = nil
	go func() {
		defer close(b.stopped)
		for nc := range conns {
			if flush > 0 && nc.IsConnected() {
				// Once the server has answered it has queued all of it for the peers, and it writes its queues out
				// before it closes its routes.
				_ = nc.FlushTimeout(flush)
			}
			nc.Close()
		}
		if b.server != nil {
			b.server.Shutdown()
		}
	}()
}
