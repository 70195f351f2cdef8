package membership

import (
	"slices"
	"testing"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

// desk is one table by itself. What it wants done is written down, and the test plays everybody else.
type desk struct {
	t        *testing.T
	now      time.Time
	table    *Table
	said     []said
	opened   []Session
	expected []Session
	forgot   []uint64
	closed   []change
	failed   []failure
	marks    []uint64
	acks     [][3]uint64
	byeSeen  []uint64
	draining []uint64
	received map[uint64]uint64
	sent     map[uint64]uint64
}

// said is a message that the table sent.
type said struct {
	to      ID
	c       wire.Control
	inOrder bool
}

func newDesk(t *testing.T, edit ...func(*Config)) *desk {
	d := &desk{t: t, now: time.Unix(simStart, 0), received: map[uint64]uint64{}, sent: map[uint64]uint64{}}
	ids := uint64(0)
	cfg := Config{
		Self: wire.Info{Name: "m@h", Incarnation: 50, Addr: "here:1", Settled: true}, Interval: time.Second, Setup: 7 * time.Second,
		Window: 1000, Jitter: func() float64 { return 0.5 }, NewConn: func() uint64 { ids++; return ids },
	}
	for _, f := range edit {
		f(&cfg)
	}
	d.table = New(cfg, d)
	return d
}

func (d *desk) Control(to ID, c wire.Control) { d.said = append(d.said, said{to, c, false}) }
func (d *desk) Ordered(to ID, c wire.Control) { d.said = append(d.said, said{to, c, true}) }
func (d *desk) Expect(s Session)              { d.expected = append(d.expected, s) }
func (d *desk) Forget(conn uint64, _ Why)     { d.forgot = append(d.forgot, conn) }
func (d *desk) Open(s Session)                { d.opened = append(d.opened, s) }
func (d *desk) Close(conn uint64, why Why, _ string) {
	d.closed = append(d.closed, change{conn: conn, why: why})
}
func (d *desk) Acked(conn, taken, window uint64) {
	d.acks = append(d.acks, [3]uint64{conn, taken, window})
}
func (d *desk) Received(conn uint64) uint64        { return d.received[conn] }
func (d *desk) Sent(conn uint64) uint64            { return d.sent[conn] }
func (d *desk) Taken(uint64) (uint64, uint64)      { return 77, 1000 }
func (d *desk) Mark(conn uint64)                   { d.marks = append(d.marks, conn) }
func (d *desk) Failed(id ID, why Why, _ string)    { d.failed = append(d.failed, failure{id, why}) }
func (d *desk) ByeSeen(conn uint64)                { d.byeSeen = append(d.byeSeen, conn) }
func (d *desk) Draining(conn uint64)               { d.draining = append(d.draining, conn) }
func (d *desk) hears(c wire.Control, inOrder bool) { d.table.Receive(d.now, c, inOrder) }

// passes lets time pass, with a call of Tick every millisecond.
func (d *desk) passes(t time.Duration) {
	for end := d.now.Add(t); d.now.Before(end); {
		d.now = d.now.Add(time.Millisecond)
		d.table.Tick(d.now)
	}
}

// took returns what was said since the last call.
func (d *desk) took() []said {
	list := d.said
	d.said = nil
	return list
}

// verbs is what was said to a node, in order.
func verbs(list []said, to ID) (words []string) {
	for _, s := range list {
		if s.to == to {
			word := s.c.Verb.String()
			if s.inOrder {
				word += "/ordered"
			}
			words = append(words, word)
		}
	}
	return words
}

// find returns the latest message with a verb.
func find(list []said, v wire.Verb) wire.Control {
	for _, s := range slices.Backward(list) {
		if s.c.Verb == v {
			return s.c
		}
	}
	return wire.Control{}
}

func from(name string, inc uint64, v wire.Verb, conn uint64) wire.Control {
	return wire.Control{
		Verb: v, Conn: conn, From: wire.Info{Name: name, Incarnation: inc, Settled: true}, Window: 500, Interval: time.Second,
	}
}

// greets has a lower node open a session, by the hello of both accounts and the first message.
func (d *desk) greets(name string, inc, conn uint64) {
	d.t.Helper()
	hello := from(name, inc, wire.Hello, conn)
	d.hears(hello, false)
	d.hears(hello, true)
	if len(d.expected) == 0 || d.expected[len(d.expected)-1].Conn != conn {
		d.t.Fatalf("session %d of %s is not expected: %v", conn, name, d.took())
	}
	d.table.Opened(d.now, conn)
}

func (d *desk) phase(id ID) Phase {
	for _, s := range d.table.Status(d.now) {
		if IDOf(s.Info) == id {
			return s.Phase
		}
	}
	return Idle
}
