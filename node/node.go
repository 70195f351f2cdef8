package node

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/sparse"
	"github.com/kith-mesh/kith/internal/wire"
)

var pid = os.Getpid()

// Node is one running node of a mesh. All its methods may be called concurrently, and from handlers unless their
// comment says that they block.
type Node struct {
	cfg         Config
	id          ID
	info        wire.Info
	log         zerolog.Logger
	epoch       time.Time // the node's clock counts from here
	subjects    subjects
	replyPrefix string

	broker      *broker.Broker
	ordered     *nats.Conn
	reservation *discovery.Reservation
	listed      time.Time // when others could find it in the data dir
	dispatcher  *dispatcher
	control     *controller
	keeper      *keeper
	out         *outbox
	topics      topics

	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	once   sync.Once

	peers    atomic.Pointer[peerSet]
	routed   atomic.Pointer[map[string]bool] // servers with a route
	grant    atomic.Uint64                   // what each peer may have under way towards us
	shadows  atomic.Int32                    // nodes with a route and without a session
	fences   atomic.Uint64
	messages atomic.Uint64 // ids of messages in parts
	leaving  atomic.Bool
	settled  atomic.Bool // the start is complete: the name is this node's
	counters counters
	watchers watchers
	change   notice
	refusals refusals
	secrets  secrets
	// permissions remembers what was refused by rules.
	permissions permissions
	// refusalLog bounds the log lines about refused routes.
	refusalLog sparse.Gate
	proofLog   sparse.Gate // the same for sessions
	overrunLog sparse.Gate // the same for errors of the ordered connection, which an external cluster may report without end
	corruptLog sparse.Gate // the same for messages of members that are broken; the counter has them all
	draining   atomic.Bool
	drained    chan struct{} // closed when the node begins to drain
	tick       atomic.Int64
	twins      atomic.Pointer[string] // where another node with our name is
}

// Start starts a node and returns once it runs and everybody found at first who answers has been greeted; a node that
// does not answer is waited for up to 1 s. It fails with ErrBadName, ErrBadArgument, ErrNameInUse, with the broker's
// errors such as broker.ErrPortInUse, or with ctx's. The context bounds the start only: the node runs until Shutdown
// or Close.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	inc, err := newIncarnation()
	if err != nil {
		return nil, err
	}
	n := &Node{
		cfg: cfg, id: ID{cfg.Name, inc}, log: cfg.Log.With().Str("node", cfg.Name).Logger(),
		epoch: time.Now(), done: make(chan struct{}), drained: make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.peers.Store(newPeerSet(nil))
	n.routed.Store(&map[string]bool{})
	n.grant.Store(grantFor(1))
	n.tick.Store(int64(cfg.Tick))
	n.change.init()
	n.secrets.now = cfg.credentials()
	if err := n.start(ctx); err != nil {
		_ = n.Close()
		return nil, err
	}
	return n, nil
}

// start brings the parts up, from the broker outwards.
func (n *Node) start(ctx context.Context) error {
	if err := n.reserve(); err != nil {
		return err
	}
	n.dispatcher = newDispatcher(n)
	n.info = wire.Info{Name: n.id.Name, Incarnation: n.id.Incarnation, Hidden: n.cfg.Hidden, Version: n.cfg.Version}
	n.info.Features = n.features()
	n.control = newController(n)
	if err := n.startBroker(ctx); err != nil {
		return err
	}
	if err := n.connect(); err != nil {
		return err
	}
	n.control.do(n.introduceSelf)
	n.control.link()
	n.keeper = newKeeper(n, n.ctx)
	n.out = newOutbox(n.publish, n.clock, n.publishFailed)
	go n.out.run()
	go n.dispatcher.run()
	go n.control.run()
	if err := n.publishEntry(); err != nil {
		return err
	}
	n.keeper.started.Store(true)
	go n.keeper.run()
	return n.settle(ctx)
}

// reserve takes the name on this host.
func (n *Node) reserve() error {
	if n.cfg.DataDir == "" {
		return nil
	}
	r, err := discovery.Local(n.cfg.DataDir).Reserve(n.cfg.Mesh, n.cfg.Name)
	if err != nil {
		if isNameInUse(err) {
			return fmt.Errorf("%w: %w", ErrNameInUse, err)
		}
		return err
	}
	n.reservation = r
	return nil
}

func (n *Node) startBroker(ctx context.Context) error {
	b, err := broker.Start(ctx, broker.Config{
		Mesh: n.cfg.Mesh, ServerName: serverOf(n.info), Store: n.storeConfig(), Clients: n.cfg.Clients, Listen: n.cfg.Listen, Advertise: n.cfg.Advertise,
		Cookie: n.cfg.Cookie, Accept: n.cfg.AcceptCookies, PeerCookies: n.cfg.PeerCookies, Certificate: n.cfg.Certificate,
		Node: n.cfg.Name, Plaintext: n.cfg.Plaintext, SNI: sni(n.id), TickWindow: 4 * n.cfg.Tick,
		Mode: n.cfg.Mode, Servers: n.cfg.Servers, ServerOptions: n.cfg.ServerOptions, LeafListen: n.cfg.LeafListen,
		OnRoute: n.control.onRoute, Log: n.log.With().Str("part", "broker").Logger(),
	})
	if err != nil {
		return err
	}
	n.broker = b
	n.subjects = subjects{b.Prefix()}
	n.replyPrefix = n.subjects.replies(n.id.Incarnation)
	n.info.Addr = b.AdvertisedAddr()
	return n.chooseAddr()
}

// chooseAddr has peers told an address that they can dial, where this node listens at all that its host has: at 0.0.0.0 each
// would ask itself, and take the answer for this node's. Nobody dials a hidden node: it just tells none.
func (n *Node) chooseAddr() error {
	switch {
	case !address.Everywhere(n.info.Addr):
		return nil
	case n.cfg.Hidden:
		n.info.Addr = ""
		return nil
	case address.Everywhere(n.cfg.Advertise):
		return fmt.Errorf("%w: Advertise: peers cannot dial %s", ErrBadArgument, n.cfg.Advertise)
	}
	_, port, err := net.SplitHostPort(n.info.Addr)
	if err != nil {
		return fmt.Errorf("where this node listens: %w", err)
	}
	_, host, _ := strings.Cut(n.cfg.Name, "@")
	own, err := address.Own(host)
	if err != nil {
		return fmt.Errorf("%w: peers cannot dial %s: say with Advertise where they reach this node: %w", ErrBadArgument, n.info.Addr, err)
	}
	n.info.Addr = net.JoinHostPort(own.String(), port)
	n.log.Info().Str("address", n.info.Addr).Msg("listening at every address of this host; peers are told this one")
	return nil
}

// introduceSelf completes what the table says of this node.
func (n *Node) introduceSelf(t tableRef, _ time.Time) { t.SetAddr(n.info.Addr) }

func sni(id ID) string { return fmt.Sprintf("%016x", id.Incarnation) }

// connect opens the two in-process connections and subscribes to what is addressed to this node.
func (n *Node) connect() error {
	var err error
	n.ordered, err = n.broker.Connect(broker.App,
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { n.cut(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { n.overrun(err) }))
	if err != nil {
		return fmt.Errorf("connecting to the node's own broker: %w", err)
	}
	if _, err := n.ordered.ChanSubscribe(n.subjects.frames(n.id.Incarnation), n.dispatcher.messages); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	n.control.conn, err = n.broker.Connect(broker.Control)
	if err != nil {
		return fmt.Errorf("connecting to the node's own broker: %w", err)
	}
	for _, subject := range []string{n.subjects.control(n.id.Incarnation), n.replyPrefix + "*", n.subjects.announce()} {
		if _, err := n.control.conn.ChanSubscribe(subject, n.control.messages); err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
	}
	n.topics.init(n)
	// Both subscriptions stand in the broker before anybody can learn of this node.
	if err := n.ordered.Flush(); err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	return n.control.conn.Flush()
}

func (n *Node) publishEntry() error {
	if n.reservation == nil || !n.cfg.Mode.Routed() {
		return nil // others on this host could not dial it
	}
	if n.listed.IsZero() {
		n.listed = time.Now()
	}
	return n.reservation.Publish(discovery.Entry{
		Name: n.id.Name, Incarnation: n.id.Incarnation, Addr: n.info.Addr, PID: pid, Hidden: n.cfg.Hidden, Started: n.listed,
		Draining: n.draining.Load(),
	})
}

// publish sends one message of the ordered account.
func (n *Node) publish(subject string, data []byte) error {
	n.counters.messagesOut.Add(1)
	n.counters.bytesOut.Add(uint64(len(data)))
	return n.ordered.Publish(subject, data)
}

// publishFailed is told that a numbered message did not leave: the sessions cannot go on.
func (n *Node) publishFailed(err error) {
	if n.ctx.Err() == nil {
		n.log.Error().Err(err).Msg("could not publish")
		n.cut(err)
	}
}

// cut is told that the ordered connection to our own broker broke. What was under way in any session may be lost.
func (n *Node) cut(err error) {
	if n.ctx.Err() != nil {
		return
	}
	n.control.do(func(t tableRef, now time.Time) {
		t.Lost(now, fmt.Sprintf("the connection to the node's own broker was cut: %v", err))
	})
}

// overrun is told of errors of the ordered connection, such as a full receive channel. The numbers tell what is lost.
func (n *Node) overrun(err error) {
	if n.ctx.Err() == nil {
		n.counters.overruns.Add(1)
		if n.overrunLog.Allow(time.Now()) {
			n.log.Error().Err(err).Msg("the ordered connection reports an error")
		}
	}
}

// clock is the time since the node was made, in nanoseconds.
func (n *Node) clock() int64 { return int64(time.Since(n.epoch)) }

// ID is this life of the node.
func (n *Node) ID() ID { return n.id }

// Name is the node's full name.
func (n *Node) Name() string { return n.id.Name }

// Hidden says whether this is a hidden node.
func (n *Node) Hidden() bool { return n.cfg.Hidden }

// Addr is the HOST:PORT that peers dial. Where none do, it is that of the server through which they reach this node, empty
// while there is none: see Config.Mode.
func (n *Node) Addr() string {
	if n.cfg.Mode.Routed() {
		return n.info.Addr
	}
	return n.broker.Via()
}

// LeafAddr is the HOST:PORT at which this node takes leaf nodes, or "" if it takes none.
func (n *Node) LeafAddr() string { return n.broker.LeafAddr() }

// Mesh is the name of the mesh.
func (n *Node) Mesh() string { return n.cfg.Mesh }

// Log is the logger that the node was given.
func (n *Node) Log() zerolog.Logger { return n.cfg.Log }

// Context is cancelled when the node stops.
func (n *Node) Context() context.Context { return n.ctx }

// Done is closed when the node has stopped: every goroutine of it has ended, but for those that the server keeps for
// somebody who has connected and says nothing, which it gives up within 20 s.
func (n *Node) Done() <-chan struct{} { return n.done }

// MaxMessage is the size limit of one message, in bytes.
func (n *Node) MaxMessage() int { return n.cfg.MaxMessage }
