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
	// look is how often the gateway looks for new functions, and for subscriptions that came or went; with very many groups,
	// and clients that listen by wildcard, less often, so that looking takes one part of lookShare of the time.
	look      = 50 * time.Millisecond
	lookShare = 20
	// maxBacklog and maxBacklogBytes bound, for groups and for each function, what clients have sent that was not looked at
	// yet, since a window is full or the processors are busy; what comes beyond is dropped, and counted in Stats.Overrun.
	maxBacklog      = 64 << 10
	maxBacklogBytes = 16 << 20
	// maxUnheard is how many messages of one group may wait to be handed to the clients that listen; the oldest give way.
	maxUnheard = 64 << 10
	// maxCalls and maxCallBytes bound the calls of clients that run at the same time, and their arguments; beyond, they are
	// answered 429.
	maxCalls     = 4096
	maxCallBytes = 64 << 20
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
	room   room

	mu      sync.Mutex                    // guards the fields below
	closed  bool                          // no call may begin any more
	overrun map[*nats.Subscription]uint64 // what each had dropped when that was last read

	functions sync.Map // of *function, by subject; the goroutine that looks adds to it

	// Owned by the goroutine that looks.
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
	g := &Gateway{
		cfg: cfg, node: n, scope: scope, log: n.Log().With().Str("part", "gateway").Logger(),
		overrun:   map[*nats.Subscription]uint64{},
		listeners: map[string]*listener{},
	}
	if g.conn, err = n.Outside(nats.NoEcho(), nats.ErrorHandler(g.onError)); err != nil {
		return nil, err
	}
	g.ctx, g.cancel = context.WithCancel(n.Context())
	if err := g.serve(); err != nil {
		g.cancel()
		g.conn.Close()
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

		StatsHandler: g.endpointStats,
	})
	if err != nil {
		return fmt.Errorf("registering the service: %w", err)
	}
	g.addEndpoints()
	taken, err := g.conn.Subscribe(broadcastPrefix+">", g.onBroadcast)
	if err == nil {
		err = taken.SetPendingLimits(maxBacklog, maxBacklogBytes)
	}
	if err != nil {
		return fmt.Errorf("taking broadcasts: %w", err)
	}
	return g.conn.Flush()
}

// watch looks for functions that were registered since, and for groups that clients have come to listen to.
func (g *Gateway) watch() {
	again := time.NewTimer(look)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			began := time.Now()
			g.addEndpoints()
			g.follow()
			again.Reset(max(look, lookShare*time.Since(began)))
		case <-g.ctx.Done():
			g.silence()
			return
		}
	}
}

// Stats is what a gateway has counted since its start.
type Stats struct {
	Calls      uint64 `json:"calls"`      // requests of clients, those that failed included
	Failed     uint64 `json:"failed"`     // of those, answered by an error
	Overloads  uint64 `json:"overloads"`  // of those, refused because too many ran
	Broadcasts uint64 `json:"broadcasts"` // messages of clients to groups
	Delivered  uint64 `json:"delivered"`  // messages of groups to clients
	Dropped    uint64 `json:"dropped"`    // messages that could not be broadcast or delivered
	Overrun    uint64 `json:"overrun"`    // messages and requests of clients that came faster than they are taken; process.Stats counts the reverse
}

// Stats returns what the gateway has counted. It does not block.
func (g *Gateway) Stats() Stats {
	return Stats{
		Calls: g.calls.Load(), Failed: g.failed.Load(), Overloads: g.overloads.Load(),
		Broadcasts: g.broadcasts.Load(), Delivered: g.delivered.Load(), Dropped: g.dropped.Load(),
		Overrun: g.countOverrun(),
	}
}

// countOverrun sums what each subscription has dropped. One that has ended stays at what it had when it was last read.
func (g *Gateway) countOverrun() (sum uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s, last := range g.overrun {
		if n, err := s.Dropped(); err == nil {
			last = uint64(n)
			g.overrun[s] = last
		}
		sum += last
	}
	return sum
}

// onError is told by NATS, among others, when a subscription begins to drop what comes.
func (g *Gateway) onError(_ *nats.Conn, s *nats.Subscription, err error) {
	if s == nil || !errors.Is(err, nats.ErrSlowConsumer) {
		g.log.Warn().Err(err).Msg("the connection for clients reports an error")
		return
	}
	g.log.Debug().Err(err).Str("subject", s.Subject).Msg("clients send faster than is taken") // Stats has the numbers
	g.mu.Lock()
	defer g.mu.Unlock()
	if n, err := s.Dropped(); err == nil {
		g.overrun[s] = uint64(n)
	}
}

// Close stops serving, and waits until the calls of clients that run have been given up.
func (g *Gateway) Close() error {
	g.countOverrun() // the last that can be read
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.cancel()
	g.wg.Wait()
	_ = g.svc.Stop() // it fails only when the connection is gone already
	g.conn.Close()
	return nil
}
