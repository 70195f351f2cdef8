package node

// Protocol is the number of a frame protocol, 0 to 63. Each layer that speaks over sessions has one.
type Protocol uint8

// The protocols of kith itself. Numbers from ProtocolUser on are for programs.
const (
	ProtocolProcess Protocol = 1
	ProtocolGroups  Protocol = 2
	ProtocolCalls   Protocol = 3
	ProtocolGlobal  Protocol = 4
	ProtocolUser    Protocol = 32
	maxProtocol     Protocol = 63
)

// Handler receives the frames of one protocol and the sessions they come over. All methods of all handlers of a node
// run on one goroutine, the dispatcher, one at a time, so they must return quickly and must not wait for another
// node: a handler that blocks holds up every frame of every peer (though neither ticks nor the detection of dead
// peers). To send from a handler use Node.Post, which never blocks.
type Handler interface {
	// PeerUp is called before the first frame of the session (NET-28).
	PeerUp(p Peer)
	// Frame is called for each frame, in the order in which the peer sent them. The payload belongs to the handler;
	// it may be kept, but not changed, since it shares memory with the frames that came with it.
	Frame(p Peer, payload []byte)
	// PeerDown is called after the last frame of the session (NET-29).
	PeerDown(p Peer, reason Reason)
}
