package admin

import (
	"context"
	"time"

	"github.com/kith-mesh/kith/node"
)

// FuncReport is the function that tells what a node knows of all others.
const FuncReport = "kith.report"

// Report is what one node sees, as kith.report tells it.
type Report struct {
	// Name and Addr are the node's own.
	Name string `json:"name"`
	Addr string `json:"addr"`
	// Visibility is "visible" or "hidden".
	Visibility string `json:"visibility"`
	// Draining says that it is about to leave.
	Draining bool `json:"draining,omitempty"`
	// TickMS is the interval of its ticks in milliseconds.
	TickMS int64 `json:"tick_ms"`
	// Routes is how many servers its broker has a route to, with those of hidden nodes.
	Routes int `json:"routes"`
	// Peers are the nodes it knows, connected or not, by name.
	Peers []PeerReport `json:"peers"`
	// Refusals are the candidates that did not become peers.
	Refusals []Refusal `json:"refusals"`
	// Counters are what it has counted since its start; those for drops are zero on a healthy node.
	Counters map[string]uint64 `json:"counters"`
}

// PeerReport is what a node knows of another one.
type PeerReport struct {
	Name       string `json:"name"`
	Visibility string `json:"visibility"`
	// Addr is where it says that it listens; empty if it has not said so.
	Addr string `json:"addr,omitempty"`
	// Connected says whether there is a session, and Routed whether there is a whole route for one.
	Connected bool `json:"connected"`
	Routed    bool `json:"routed"`
	// Announced says that no route is to be expected: one of the two is a leaf node, or both are in an external cluster.
	Announced bool `json:"announced,omitempty"`
	// Draining says that it has said that it is about to leave.
	Draining bool `json:"draining,omitempty"`
	// UpMS is for how many milliseconds the session is up, and HeardMS how long ago its last sign of life was.
	UpMS    int64 `json:"up_ms,omitempty"`
	HeardMS int64 `json:"heard_ms,omitempty"`
	// RTTMicros is the round trip of the last tick in microseconds; zero before the first.
	RTTMicros int64 `json:"rtt_us"`
	// Missed is how many of its ticks are missing now.
	Missed int `json:"missed_ticks"`
	// Previous is why the session before ended; empty if there was none.
	Previous node.Reason `json:"previous_reason,omitempty"`
	// EndedMS is how many milliseconds ago that was.
	EndedMS int64 `json:"ended_ms,omitempty"`
}

// Refusal is a candidate that did not become a peer.
type Refusal struct {
	// Addr is where it was, and Name its name; either may be unknown.
	Addr string `json:"addr,omitempty"`
	Name string `json:"name,omitempty"`
	// Why is the reason in words, and Seen how often it was refused.
	Why  string `json:"why"`
	Seen int    `json:"seen"`
}

func (s *server) report(context.Context, struct{}) (Report, error) {
	from, now := s.node.Report(), time.Now()
	r := Report{
		Name: from.Self.Name, Addr: from.Addr, Visibility: visibility(s.node.Hidden()), Draining: from.Draining, TickMS: s.node.Tick().Milliseconds(),
		Routes: from.Routes, Peers: []PeerReport{}, Refusals: []Refusal{}, Counters: from.Counters,
	}
	for _, p := range from.Peers {
		peer := PeerReport{
			Name: p.ID.Name, Visibility: visibility(p.Hidden), Addr: p.Addr, Connected: p.Connected, Routed: p.Routed, Announced: p.Announced, Draining: p.Draining,
			RTTMicros: p.RTT.Microseconds(), Missed: p.Missed, Previous: p.Previous, EndedMS: ago(now, p.Ended),
		}
		if p.Connected {
			peer.UpMS, peer.HeardMS = ago(now, p.Since), ago(now, p.Heard)
		}
		r.Peers = append(r.Peers, peer)
	}
	for _, f := range from.Refusals {
		r.Refusals = append(r.Refusals, Refusal{Addr: f.Addr, Name: f.Name, Why: f.Why, Seen: f.Seen})
	}
	return r, nil
}

// ago is how many milliseconds a time lies back, zero if it never was. Clocks of hosts differ, so times do not travel.
func ago(now, at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return max(1, now.Sub(at).Milliseconds())
}

// Sees says whether the node is connected to the one of that name.
func (r Report) Sees(name string) bool {
	for _, p := range r.Peers {
		if p.Name == name {
			return p.Connected
		}
	}
	return false
}
