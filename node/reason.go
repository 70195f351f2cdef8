package node

// Reason says why a session ended.
type Reason string

// The reasons of nodedown.
const (
	// ReasonConnectionClosed: the peer was killed or crashed, its connection closed (NET-33, NET-43).
	ReasonConnectionClosed Reason = "connection_closed"
	// ReasonTickTimeout: nothing was heard of the peer for four of its ticks: it is frozen or unreachable (NET-40).
	ReasonTickTimeout Reason = "net_tick_timeout"
	// ReasonShutdown: the peer left cleanly, or this node is leaving.
	ReasonShutdown Reason = "shutdown"
	// ReasonDisconnect: this node or the peer called Disconnect.
	ReasonDisconnect Reason = "disconnect"
	// ReasonGap: frames were lost on the way.
	ReasonGap Reason = "gap"
	// ReasonNoConnection: there was no session, and none could be opened. Only a Monitor with Connecting says so (NET-37).
	ReasonNoConnection Reason = "noconnection"
)
