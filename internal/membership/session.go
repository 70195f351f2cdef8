package membership

import (
	"cmp"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// ID is one life of a node.
type ID struct {
	Name        string
	Incarnation uint64
}

// IDOf is the life that the info speaks of.
func IDOf(i wire.Info) ID { return ID{Name: i.Name, Incarnation: i.Incarnation} }

// less orders lives. The lower of two is the one that calls.
func less(a, b ID) bool {
	if c := cmp.Compare(a.Name, b.Name); c != 0 {
		return c < 0
	}
	return a.Incarnation < b.Incarnation
}

// Why is the reason for an end or a refusal, as a word that travels.
type Why string

// The reasons for which a session ends.
const (
	ConnectionClosed Why = "connection_closed"
	TickTimeout      Why = "net_tick_timeout"
	Shutdown         Why = "shutdown"
	Disconnect       Why = "disconnect"
	Gap              Why = "gap"
)

// Ending is a reason as a peer gave it. What is none of the above, from a later version or out of an attempt that never
// became a session, counts as a closed connection.
func Ending(word string) Why {
	switch why := Why(word); why {
	case TickTimeout, Shutdown, Disconnect, Gap:
		return why
	}
	return ConnectionClosed
}

// The reasons for which none is opened.
const (
	NameInUse  Why = "name_in_use"
	NotAllowed Why = "not_allowed"
	NoAnswer   Why = "no_answer"
	Leaving    Why = "leaving"
)

// Phase is how far a peer is.
type Phase uint8

// The phases. A session exists in Expecting and Up.
const (
	Idle      Phase = iota // a candidate at most
	Calling                // knock or hello sent
	Expecting              // welcome sent, the first message awaited
	Up
)

// String names the phase.
func (p Phase) String() string { return [...]string{"idle", "calling", "expecting", "up"}[p] }

// Session describes a session that is about to open.
type Session struct {
	Peer   wire.Info
	Conn   uint64
	Window uint64 // how much the peer lets us have under way at first
	Others uint64 // how many visible nodes the peer is connected to besides this one
}

// Effects is what a Table wants done. All methods return at once and none calls back into the Table.
type Effects interface {
	// Control sends a message on the control account, Ordered one on the ordered account, both without a session.
	Control(to ID, c wire.Control)
	Ordered(to ID, c wire.Control)
	// Expect prepares for the first message of a session. Forget undoes it; should that message have just arrived, the
	// session ends for the given reason. Open brings a session up from this side.
	Expect(s Session)
	Forget(conn uint64, why Why)
	Open(s Session)
	// Close ends a session after everything of it that has arrived.
	Close(conn uint64, why Why, evidence string)
	// Acked reports what the peer has taken and what it allows.
	Acked(conn, taken, window uint64)
	// Received is the number of the last frame that has arrived in the session, Sent that of the last one sent. Taken
	// is the charge handed on, Window what this node allows the peer.
	Received(conn uint64) uint64
	Sent(conn uint64) uint64
	Taken(conn uint64) (taken, window uint64)
	// Mark asks for a mark behind all that was sent in the session.
	Mark(conn uint64)
	// Failed reports that no session came about, and why. ByeSeen reports that a peer has taken our goodbye.
	Failed(id ID, why Why, detail string)
	ByeSeen(conn uint64)
	// Draining reports that the peer of a session is about to leave. Where that is known before, the session's Info says so.
	Draining(conn uint64)
}

// Auto says when sessions open unasked.
type Auto uint8

// The settings of Auto.
const (
	AutoAlways Auto = iota // with every visible candidate, again after each loss
	AutoOnce               // until a session with that name was lost (NET-17)
	AutoNever              // only for a wish (NET-16)
)

// Config is what a Table needs to know of its node.
type Config struct {
	Self     wire.Info
	Interval time.Duration // between two ticks
	Setup    time.Duration // for one attempt to open a session
	Window   uint64        // what a new peer may have under way
	Auto     Auto          // whether sessions with candidates open unasked
	Admit    func(wire.Info) error
	Prover   Prover           // nil where nodes have no certificates of their own
	NewConn  func() uint64    // a fresh connection id
	Jitter   func() float64   // random, in [0, 1)
	Log      func(string, ID) // debug lines; may be nil
}

// Misses is the number of ticks that a peer may miss: at the fourth it is down.
const Misses = 4
