package discovery

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// gossipExpiry is how long a node stays a candidate after its last announcement.
	gossipExpiry = 30 * time.Second
	// gossipPeers is the largest number of nodes that are remembered.
	gossipPeers = 4096
)

var (
	errGossipForeign = errors.New("announcement of another mesh")
	errGossipOwn     = errors.New("this node's own announcement")
	errGossipName    = errors.New("another living node announces this node's name")
	errGossipFull    = errors.New("too many nodes announced")
	errGossipAddr    = errors.New("announcement of a bad address")
)

// gossipTable is who announced itself. It holds no clock and no socket: the caller brings time and datagrams.
type gossipTable struct {
	self   Self
	keys   [][]byte
	replay *replayGuard
	peers  map[string]gossipPeer // by name
}

type gossipPeer struct {
	candidate Candidate
	said      time.Time // the time of its last announcement, by its clock
	heard     time.Time // when that came, by ours
	left      bool      // it said that it leaves: kept so that an older announcement does not bring it back
}

func newGossipTable(self Self, keys ...[]byte) *gossipTable {
	return &gossipTable{
		self: self, keys: keys, peers: make(map[string]gossipPeer),
		replay: newReplayGuard(gossipWindow, gossipNonces),
	}
}

// receive takes a datagram that came from the address from. It says whether the list of candidates changed, and whether
// the node that sent it was unknown. An error says why it was given up, one of the errGossip errors.
func (t *gossipTable) receive(data []byte, from netip.Addr, now time.Time) (changed, unknown bool, err error) {
	a, signed, mac, err := decodeAnnouncement(data)
	if err != nil {
		return false, false, err
	}
	if a.mesh != t.self.Mesh {
		return false, false, errGossipForeign
	}
	if err := checkSignature(t.keys, signed, mac); err != nil {
		return false, false, err
	}
	if a.name == t.self.Name && a.incarnation == t.self.Incarnation {
		return false, false, errGossipOwn
	}
	if err := t.replay.accept(a.at, a.nonce, now); err != nil {
		return false, false, err
	}
	if a.name == t.self.Name {
		return false, false, errGossipName
	}
	addr, err := reachable(a.addr, from)
	if err != nil {
		return false, false, err
	}
	old, known := t.peers[a.name]
	if known && !a.at.After(old.said) {
		return false, false, nil // overtaken on the way
	}
	if !known && len(t.peers) >= gossipPeers {
		return false, false, errGossipFull
	}
	c := Candidate{Addr: addr, Name: a.name, Incarnation: a.incarnation, Source: "gossip", Hidden: a.hidden}
	t.peers[a.name] = gossipPeer{candidate: c, said: a.at, heard: now, left: a.leaving}
	if a.leaving {
		return known && !old.left, false, nil
	}
	return c != old.candidate || old.left, !known || c.Incarnation != old.candidate.Incarnation, nil
}

// expire forgets who has not been heard of for long, and says whether that changed the list.
func (t *gossipTable) expire(now time.Time) bool {
	changed := false
	for name, p := range t.peers {
		if now.Sub(p.heard) > gossipExpiry {
			delete(t.peers, name)
			changed = changed || !p.left
		}
	}
	return changed
}

// list returns the candidates in order of address.
func (t *gossipTable) list() []Candidate {
	list := make([]Candidate, 0, len(t.peers))
	for _, p := range t.peers {
		if !p.left {
			list = append(list, p.candidate)
		}
	}
	slices.SortFunc(list, compareCandidates)
	return list
}

// reachable returns the announced address, with the sender's own where a node that listens everywhere announced none.
func reachable(addr string, from netip.Addr) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("%w: %q", errGossipAddr, addr)
	}
	if err := checkPort(addr, port); err != nil {
		return "", fmt.Errorf("%w: %w", errGossipAddr, err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return net.JoinHostPort(from.Unmap().String(), port), nil
	}
	return addr, nil
}
