package node

import (
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/wire"
)

// What tests of the package may reach into: what a peer that misbehaves, or a broker that loses messages, would do.

// PublishOrdered publishes bytes on the ordered account, past sessions and their numbers.
func (n *Node) PublishOrdered(subject string, data []byte) error {
	if err := n.ordered.Publish(subject, data); err != nil {
		return err
	}
	return n.ordered.Flush()
}

// PublishControl publishes bytes on the control account.
func (n *Node) PublishControl(subject string, data []byte) error {
	if err := n.control.conn.Publish(subject, data); err != nil {
		return err
	}
	return n.control.conn.Flush()
}

// FrameSubject and ControlSubject are where a node takes frames and control messages.
func FrameSubject(inc uint64) string   { return subjects{}.frames(inc) }
func ControlSubject(inc uint64) string { return subjects{}.control(inc) }

// LoseFrames has this node number frames for a peer and not send them, as if they were lost on the way.
func (n *Node) LoseFrames(peer string, count uint64) {
	s := n.peers.Load().byName[peer]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next += count
	s.sent.Store(s.next - 1)
}

// LastSent is the number of the last frame sent to a peer.
func (n *Node) LastSent(peer string) uint64 { return n.peers.Load().byName[peer].sent.Load() }

// Batch is a message with frames of one session.
func Batch(conn, first uint64, count uint32, frames []byte) []byte {
	buf := make([]byte, wire.BatchSize, wire.BatchSize+len(frames))
	wire.PutBatch(buf, wire.Batch{Conn: conn, First: first, Count: count})
	return append(buf, frames...)
}

// UnderWay is the charge of what was queued for a peer and is not acknowledged; Window is what it may be.
func (n *Node) UnderWay(peer string) (charge, window uint64) {
	s := n.peers.Load().byName[peer]
	if s == nil {
		return 0, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued - s.taken, s.window
}

// WaitingMessages is how many messages wait for the dispatcher.
func (n *Node) WaitingMessages() int { return len(n.dispatcher.messages) }

// ReceiveCapacity is how many may.
const ReceiveCapacity = receiveCapacity

// CutOrdered cuts the node's own ordered connection, as its broker does when it is overtaken.
func (n *Node) CutOrdered() { _ = n.ordered.ForceReconnect() }

// Pretend has this node prove its sessions with another certificate than the one that it connects with.
func (n *Node) Pretend(c *broker.Certificate) {
	n.secrets.mu.Lock()
	defer n.secrets.mu.Unlock()
	n.secrets.now.Certificate = c
}

// Knows has this node dial an address, as if it had been found just now.
func (n *Node) Knows(addr string) {
	n.keeper.do(func() { n.keeper.contact(addr, "test").urgent = true }) // of an address that can be dialled
}

// Freeze has the node answer nobody on the control account, and open no session, until it is told to go on.
func (n *Node) Freeze(until <-chan struct{}) { n.control.do(func(tableRef, time.Time) { <-until }) }

// Crash ends the broker of a node that is frozen: to its peers it is gone in the middle of whatever it does.
func (n *Node) Crash(until <-chan struct{}) error {
	n.Freeze(until)
	return n.broker.Close()
}

// Stir wakes everybody who waits for something to change, as a mesh does in which nodes come and go.
func (n *Node) Stir() { n.changed() }
