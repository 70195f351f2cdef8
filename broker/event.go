package broker

import "github.com/nats-io/nats-server/v2/server"

// RouteKind says what a RouteEvent is about.
type RouteKind uint8

const (
	// RouteUp says that a route connection was registered: RemoteID and Account are known, Remote is not yet. What was
	// subscribed before is on its way to the peer, and the peer's interest on its way here.
	RouteUp RouteKind = iota + 1
	// RouteDown says that a route connection to a known server has ended, for Reason.
	RouteDown
	// RouteRefused says that a connection did not become a route: other cookie, other mesh, duplicate name. Detail says
	// in words for people which, and with whom.
	RouteRefused
	// RouteUnknown says that something about routes changed that this package does not understand, or that a connection of
	// a leaf, or to an external cluster, came or went. It is a wake-up.
	RouteUnknown
	// LeafDown says that a leaf connection to a known server has ended, for Reason: that of a leaf to this server, or of this
	// leaf to its hub.
	LeafDown
)

// String returns a word for the kind, such as "up".
func (k RouteKind) String() string {
	switch k {
	case RouteUp:
		return "up"
	case RouteDown:
		return "down"
	case RouteRefused:
		return "refused"
	case LeafDown:
		return "leaf down"
	}
	return "unknown"
}

// CloseReason says why a route connection ended.
type CloseReason uint8

const (
	// CloseOther is any reason not listed here; RouteEvent.Detail has the server's words.
	CloseOther CloseReason = iota
	// ClosePeer says that the other side closed the connection, as the kernel does for a process that ends.
	ClosePeer
	// CloseReadError says that reading failed, mostly because the connection was reset.
	CloseReadError
	// CloseWriteError says that writing failed, mostly because the connection was reset.
	CloseWriteError
	// CloseStale says that this server gave the route up because pings were not answered.
	CloseStale
	// CloseSlow says that this server gave the route up because the peer did not take its bytes for WriteDeadline.
	CloseSlow
	// CloseProtocol says that the peer sent an error or something unintelligible; a peer that finds this side stale does.
	CloseProtocol
	// CloseDuplicate says that the same pair had a route already, or that this server dialled itself.
	CloseDuplicate
	// CloseRemoved says that SetRoutes removed the address.
	CloseRemoved
	// CloseShutdown says that this broker is shutting down.
	CloseShutdown
	// CloseTLS says that the TLS handshake failed.
	CloseTLS
	// CloseMesh says that the peer belongs to another mesh.
	CloseMesh
	// CloseName says that the peer has this server's name.
	CloseName
)

var closeReasonNames = [...]string{
	"other", "closed by peer", "read error", "write error", "stale", "slow", "protocol error", "duplicate", "removed",
	"shutdown", "tls", "other mesh", "duplicate name",
}

// String returns words for the reason, such as "closed by peer".
func (r CloseReason) String() string {
	if int(r) < len(closeReasonNames) {
		return closeReasonNames[r]
	}
	return closeReasonNames[CloseOther]
}

// ByPeer reports whether the reason says that the peer's end of the connection is gone. That the peer's process is gone
// does not follow: a duplicate connection, or one that the peer gave up, ends this way too.
func (r CloseReason) ByPeer() bool {
	return r == ClosePeer || r == CloseReadError || r == CloseWriteError
}

// refusal reports whether a connection that ended for this reason never was a route.
func (r CloseReason) refusal() bool {
	return r == CloseTLS || r == CloseMesh || r == CloseName
}

// RouteEvent is one change of a route connection. There is one per connection, and a pair of servers has one connection
// for each account, so several events tell of one peer. Events are wake-ups: what stands is what Broker.Routes says.
type RouteEvent struct {
	Kind RouteKind
	// Remote is the peer's server name if it is known.
	Remote string
	// RemoteID is the peer's server id. Only RouteUp has it.
	RemoteID string
	// Account is the account of the connection; it may be one that is not App or Control. Only RouteUp has it.
	Account Account
	// Reason says why the connection ended.
	Reason CloseReason
	// ByPeer is Reason.ByPeer(): the peer's end closed. False means that this server gave the route up, which says
	// nothing about the peer.
	ByPeer bool
	// Detail is for people: the peer's address, the server's words.
	Detail string
}

// closeReasons is what the embedded server's reasons mean. routes_test.go pins it against a real server.
var closeReasons = map[server.ClosedState]CloseReason{
	server.ClientClosed:              ClosePeer,
	server.ReadError:                 CloseReadError,
	server.WriteError:                CloseWriteError,
	server.StaleConnection:           CloseStale,
	server.SlowConsumerPendingBytes:  CloseSlow,
	server.SlowConsumerWriteDeadline: CloseSlow,
	server.ParseError:                CloseProtocol,
	server.ProtocolViolation:         CloseProtocol,
	server.DuplicateRoute:            CloseDuplicate,
	server.RouteRemoved:              CloseRemoved,
	server.ServerShutdown:            CloseShutdown,
	server.TLSHandshakeError:         CloseTLS,
	server.ClusterNameConflict:       CloseMesh,
	server.DuplicateServerName:       CloseName,
}
