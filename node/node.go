package node

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

// STUB: signatures fixed, bodies to come (the founder is writing them).

type Node struct{}

type Config struct {
	Name    string
	Mesh    string // default "kith"
	Cookie  []byte // at least 16 bytes
	DataDir string
	Listen  string // cluster listen, default 127.0.0.1:0
	Advertise string
	Join    []string
	Tick    time.Duration // default 1 s
	Hidden  bool
	MaxMessage int // default 64 MiB
	Log     zerolog.Logger
}

func Start(ctx context.Context, cfg Config) (*Node, error) { panic("stub") }

func (n *Node) ID() ID                { panic("stub") }
func (n *Node) Name() string          { panic("stub") }
func (n *Node) Hidden() bool          { panic("stub") }
func (n *Node) Addr() string          { panic("stub") } // HOST:PORT of the cluster listener
func (n *Node) Log() zerolog.Logger   { panic("stub") }
func (n *Node) Tick() time.Duration   { panic("stub") }
func (n *Node) Done() <-chan struct{} { panic("stub") } // closed when the node has stopped

// Context is cancelled when the node stops.
func (n *Node) Context() context.Context { panic("stub") }

// Shutdown leaves cleanly (peers see ReasonShutdown): flushes what was sent, says goodbye, stops. Close is now.
func (n *Node) Shutdown(ctx context.Context) error { panic("stub") }
func (n *Node) Close() error                       { panic("stub") }

type Kind uint8

const (
	Visible Kind = 1 << iota
	HiddenNodes
	This
	Known
	Connected = Visible | HiddenNodes
)

func (n *Node) Nodes(kinds ...Kind) []string                                { panic("stub") } // sorted; default Visible
func (n *Node) Peers() []Peer                                               { panic("stub") } // live sessions
func (n *Node) Peer(name string) (Peer, bool)                               { panic("stub") }
func (n *Node) Connect(ctx context.Context, name string) (Peer, error)      { panic("stub") }
func (n *Node) Disconnect(name string) bool                                 { panic("stub") }
func (n *Node) Ping(ctx context.Context, name string) (time.Duration, error) { panic("stub") }
func (n *Node) WaitReady(ctx context.Context) error                         { panic("stub") }
func (n *Node) WaitPeers(ctx context.Context, count int) error              { panic("stub") }

// Event is a nodeup or a nodedown.
type Event struct {
	Up     bool
	Peer   Peer
	Reason Reason // of a nodedown
}

// Monitor subscribes to nodeup and nodedown. Events come in order and none is lost; the queue is unbounded.
type Monitor struct{}

type MonitorOption func(*Monitor)

func (n *Node) Monitor(opts ...MonitorOption) *Monitor { panic("stub") }
func (m *Monitor) Events() <-chan Event                { panic("stub") }
func (m *Monitor) Close()                              { panic("stub") }

// ---- for protocol layers ----

// SendFlags change what Send does when it cannot send at once.
type SendFlags uint8

const (
	NoWait    SendFlags = 1 << iota // ErrWouldBlock instead of waiting for the window (SIG-10)
	NoConnect                       // ErrNotConnected instead of connecting first (SIG-09)
)

// Handle installs the handler of a protocol, once. Peers that are up already are announced to it (PeerUp, on the
// dispatcher) before any of their later frames; Handle returns after that.
func (n *Node) Handle(p Protocol, h Handler) error { panic("stub") }

// Send queues one frame for the node to, in order. parts are concatenated and copied before Send returns. It blocks
// while the peer's window is full, within ctx. A zero Incarnation means whatever life of that name is connected.
// Errors: ErrNotConnected, ErrNoNode, ErrWouldBlock, ErrTooLarge, ErrClosed, ctx.Err(). Sending to this node itself is
// ErrBadArgument: layers deliver locally without the broker.
func (n *Node) Send(ctx context.Context, to ID, p Protocol, flags SendFlags, parts ...[]byte) error {
	panic("stub")
}

// Post is Send for handlers: it never blocks and never connects; beyond the window it queues. ErrNotConnected if no session.
func (n *Node) Post(to ID, p Protocol, parts ...[]byte) error { panic("stub") }

// Do runs f on the dispatcher, between two frames, and waits for it within ctx. Must not be called from a handler.
func (n *Node) Do(ctx context.Context, f func()) error { panic("stub") }

// Subscribe makes this node take broadcasts of topic (a NATS subject suffix: dot-separated tokens of [A-Za-z0-9_-], * and >
// allowed as whole tokens). It returns when the subscription is queued on the connection that carries frames, so that
// a frame sent afterwards reaches a peer only after the peer's server knows the subscription (decision 10).
func (n *Node) Subscribe(topic string) error   { panic("stub") }
func (n *Node) Unsubscribe(topic string) error { panic("stub") }

// Broadcast publishes one frame on topic, one copy on the wire per listed node, each of which must have subscribed
// before it told us so. It is ordered with Send. It never blocks on one slow peer: a listed node whose window is full
// is skipped and returned. Delivered at receivers through Handler.Frame of p. Payload over 128 KiB goes per node.
func (n *Node) Broadcast(ctx context.Context, topic string, p Protocol, to []ID, parts ...[]byte) (skipped []ID, err error) {
	panic("stub")
}
