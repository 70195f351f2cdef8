package node

import (
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/internal/membership"
)

// counters are what a node counts. Each drop has one.
type counters struct {
	framesIn, framesOut     atomic.Uint64
	messagesOut, bytesOut   atomic.Uint64
	late, unhandled         atomic.Uint64
	twice                   atomic.Uint64
	corrupt, unknown, lost  atomic.Uint64
	overruns, controlFailed atomic.Uint64
	skipped                 atomic.Uint64
	forbidden, unproven     atomic.Uint64
}

// Counters returns what the node has counted since its start, by name. It does not block.
func (n *Node) Counters() map[string]uint64 {
	c := &n.counters
	return map[string]uint64{
		"frames_in":         c.framesIn.Load(),      // handed to a protocol
		"frames_out":        c.framesOut.Load(),     // taken by Send and Post
		"messages_out":      c.messagesOut.Load(),   // published, each with one or more frames
		"bytes_out":         c.bytesOut.Load(),      // of those messages
		"frames_late":       c.late.Load(),          // dropped: their session was over
		"frames_twice":      c.twice.Load(),         // dropped: a broadcast that several subscriptions brought
		"frames_unhandled":  c.unhandled.Load(),     // dropped: no handler for the protocol
		"frames_lost":       c.lost.Load(),          // missing, and told by a gap
		"messages_corrupt":  c.corrupt.Load(),       // dropped: they did not parse
		"messages_unknown":  c.unknown.Load(),       // dropped: of a type this version does not know
		"overruns":          c.overruns.Load(),      // errors of the ordered connection
		"control_failed":    c.controlFailed.Load(), // control messages that could not be published
		"broadcast_skips":   c.skipped.Load(),       // nodes left out of a broadcast, their window full
		"openings_unproven": c.unproven.Load(),      // dropped: of nodes that have not shown that they know the cookie
		"actions_refused":   c.forbidden.Load(),     // calls and joins of peers that a rule refused: see Config.Rules
	}
}

// PeerReport is what a node knows of another.
type PeerReport struct {
	ID        ID
	Hidden    bool
	Connected bool
	Draining  bool          // it has said that it is about to leave
	Conn      uint64        // of the session; zero without one
	Since     time.Time     // the session is up since then
	Heard     time.Time     // last sign of life in the session
	Missed    int           // ticks that are missing now
	RTT       time.Duration // of the last tick; zero before the first
	Tick      time.Duration // the peer's interval
	Addr      string        // where it says it listens
	Routed    bool          // whether there is a route
	Reachable bool          // a route, or the node's announcements, say that it can be reached
	Announced bool          // no route is to be expected: one of the two is no server of the cluster
	Previous  Reason        // why the session before ended; empty if there was none
	Ended     time.Time     // when it ended
}

// Refusal is a candidate that did not become a peer.
type Refusal struct {
	Addr string // where it was; may be empty
	Name string // its node or server name, if it is known
	Why  string
	At   time.Time // the last time
	Seen int       // how often
}

// Report says who sees whom from this node's side.
type Report struct {
	Self     ID
	Addr     string
	Draining bool // this node is about to leave
	Peers    []PeerReport
	Refusals []Refusal
	Routes   int // servers with a route
	Counters map[string]uint64
}

// Report returns what this node knows of all others, by name. It asks the goroutine that keeps the table, which never
// waits for a peer.
func (n *Node) Report() Report {
	routed := *n.routed.Load()
	r := Report{Self: n.id, Addr: n.Addr(), Draining: n.draining.Load(), Refusals: n.refusals.list(), Routes: len(routed), Counters: n.Counters()}
	for _, s := range n.status() {
		id := ID(membership.IDOf(s.Info))
		r.Peers = append(r.Peers, PeerReport{
			ID: id, Hidden: s.Info.Hidden, Connected: s.Phase == membership.Up, Draining: s.Draining, Conn: s.Conn, Since: s.Since, Heard: s.Heard,
			Missed: s.Missed, RTT: s.RTT, Tick: s.Interval, Addr: s.Info.Addr, Routed: routed[serverOf(s.Info)], Reachable: s.Seen,
			Announced: !n.cfg.Mode.Routed() || slices.Contains(s.Info.Features, featureAnnounced),
			Previous:  Reason(s.Prev), Ended: s.PrevEnd,
		})
	}
	return r
}

// status asks the controller for its table. It is empty once the node has stopped.
func (n *Node) status() (list []membership.Status) {
	_ = n.control.call(func(t tableRef, now time.Time) { list = t.Status(now) })
	return list
}

// refusals remembers candidates that were refused, each once, the latest only.
type refusals struct {
	mu   sync.Mutex // guards the field below
	seen map[string]Refusal
}

const maxRefusals = 256

func (r *refusals) note(addr, name, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]Refusal{}
	}
	key := addr + " " + name
	if _, ok := r.seen[key]; !ok && len(r.seen) >= maxRefusals {
		clear(r.seen) // they will be noted again if they go on
	}
	r.seen[key] = Refusal{Addr: addr, Name: name, Why: why, At: time.Now(), Seen: r.seen[key].Seen + 1}
}

func (r *refusals) list() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]Refusal, 0, len(r.seen))
	for _, s := range r.seen {
		list = append(list, s)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Addr+list[i].Name < list[j].Addr+list[j].Name })
	return list
}

func (n *Node) noteRefusal(addr, name string, err error) { n.refusals.note(addr, name, err.Error()) }

// refusedRoute is told that somebody tried to become a route of ours, or we of theirs, and it was refused.
func (n *Node) refusedRoute(e broker.RouteEvent) {
	n.refusals.note("", e.Remote, e.Detail)
	if n.refusalLog.Allow(time.Now()) {
		n.log.Warn().Str("remote", e.Remote).Str("detail", e.Detail).Msg("a route was refused")
	}
}

// corrupted counts a message that a member should not have sent, and has one in a while told: a member that is broken, or
// means ill, sends them faster than a disk takes lines.
func (n *Node) corrupted(tell func(*zerolog.Event)) {
	count := n.counters.corrupt.Add(1)
	if n.corruptLog.Allow(time.Now()) {
		tell(n.log.Warn().Uint64("so_far", count))
	}
}
