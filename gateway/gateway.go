package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

// ErrNoPort is returned by New for a node without a port for clients.
var ErrNoPort = errors.New("the node has no port for NATS clients")

const (
	// serviceName is the NATS service that every gateway is an instance of, and its version.
	serviceName    = "kith"
	serviceVersion = "1.0.0"
	// look is how often the gateway looks for new functions, and for subscriptions that came or went.
	look = 50 * time.Millisecond
	// maxCalls bounds the calls of clients that run at the same time; beyond, they are answered 429.
	maxCalls = 4096
)

// Config is what a gateway serves. All three belong to one node.
type Config struct {
	Runtime *process.Runtime
	Groups  *pg.Groups
	Calls   *rpc.Server
}

// Gateway serves the NATS clients of one node. Its methods may be called concurrently.
type Gateway struct {
	cfg   Config
	node  *node.Node
	scope *pg.Scope
	log   zerolog.Logger
	conn  *nats.Conn
	svc   micro.Service

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{}

	// Owned by the goroutine that looks.
	endpoints map[string]bool
	listeners map[string]*listener // by group
	changes   uint64               // of subscriptions, when they were last looked at
	patterns  []string

	calls, failed, overloads, broadcasts, delivered, dropped atomic.Uint64
}

// New starts a gateway. It serves until Close, or until the node stops. Errors: ErrNoPort, node.ErrClosed, and those of
// NATS when the service cannot be registered.
func New(cfg Config) (*Gateway, error) {
	n := cfg.Runtime.Node()
	if n.ClientAddr() == "" {
		return nil, ErrNoPort
	}
	scope, err := cfg.Groups.Scope(pg.DefaultScope)
	if err != nil {
		return nil, err
	}
	conn, err := n.Outside(nats.NoEcho())
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, node: n, scope: scope, conn: conn, log: n.Log().With().Str("part", "gateway").Logger(),
		slots: make(chan struct{}, maxCalls), endpoints: map[string]bool{}, listeners: map[string]*listener{},
	}
	g.ctx, g.cancel = context.WithCancel(n.Context())
	if err := g.serve(); err != nil {
		g.cancel()
		conn.Close()
		return nil, err
	}
	g.wg.Go(g.watch)
	return g, nil
}

// serve registers the service and takes broadcasts.
func (g *Gateway) serve() error {
	var err error
	g.svc, err = micro.AddService(g.conn, micro.Config{
		Name: serviceName, Version: serviceVersion,
		Description: "Functions of a kith node: JSON in, JSON out",
		Metadata:    map[string]string{"node": g.node.Name(), "mesh": g.node.Mesh()},
	})
	if err != nil {
		return fmt.Errorf("registering the service: %w", err)
	}
	g.addEndpoints()
	if _, err := g.conn.Subscribe(broadcastPrefix+">", g.onBroadcast); err != nil {
		return fmt.Errorf("taking broadcasts: %w", err)
	}
	return g.conn.Flush()
}

// watch looks for functions that were registered since, and for groups that clients have come to listen to.
func (g *Gateway) watch() {
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			g.addEndpoints()
			g.follow()
		case <-g.ctx.Done():
			g.silence()
			return
		}
	}
}

// Stats is what a gateway has counted since its start.
type Stats struct {
	Calls      uint64 // requests of clients, those that failed included
	Failed     uint64 // of those, answered by an error
	Overloads  uint64 // of those, refused because too many ran
	Broadcasts uint64 // messages of clients to groups
	Delivered  uint64 // messages of groups to clients
	Dropped    uint64 // messages that could not be broadcast or delivered
}

// Stats returns what the gateway has counted. It does not block.
func (g *Gateway) Stats() Stats {
	return Stats{
		Calls: g.calls.Load(), Failed: g.failed.Load(), Overloads: g.overloads.Load(),
		Broadcasts: g.broadcasts.Load(), Delivered: g.delivered.Load(), Dropped: g.dropped.Load(),
	}
}

// Close stops serving, and waits until the calls of clients that run have been given up.
func (g *Gateway) Close() error {
	g.cancel()
	g.wg.Wait()
	_ = g.svc.Stop() // it fails only when the connection is gone already
	g.conn.Close()
	return nil
}
