package talk

import (
	"fmt"
	"slices"
	"time"
)

// Users is the group of all users of the mesh. No room can have this name.
const Users = "[users]"

// Config is what a Talk starts with.
type Config struct {
	// Self is the user: ID, Nick and Since.
	Self User
	// Room is the first room.
	Room string
	// History says that there may be a history of rooms: somebody answers Recall, Open and Store.
	History bool
	// Now is the time.
	Now time.Time
}

// phase is how far the start has come.
type phase uint8

const (
	starting phase = iota // the state of the mesh is awaited
	entering              // the first room is being entered
	open                  // the first line has been shown
	ending                // no more input is taken
	over                  // Quit went out
)

// Talk is the chat of one user. Make it with New; give it every event with Handle, and a Tick at Wake.
type Talk struct {
	self     User
	commands []command
	phase    phase
	lost     *lostNick // the nick that another has kept, until there is a new one

	groups map[string]map[ID]struct{} // who is in which room, as the mesh says
	users  map[ID]*person             // who is a user
	holder map[string]ID              // who has the best right to a nick
	nodes  map[string]bool            // the other nodes that are up
	early  map[string]time.Time       // nodes whose users came before them, and until when they wait
	gone   map[string]*farewell       // nodes whose users went before them

	goneNodes map[string]NodeView // nodes that went lately

	sent   bucket    // what this user sends
	slowed bool      // and that it was told to be too much
	pause  time.Time // until then nothing more is taken
	rev    uint64

	rooms  []*room // the rooms this user is in, the current one last
	direct map[uint64]sent
	seq    uint64 // of what this user said last

	history           bool                // there may be one
	keeps             bool                // there is one, as far as is known
	toldWhy, toldNone bool                // that there is none
	known             map[known]struct{}  // messages that have been shown
	order             []known             // the same, as a ring
	oldest            int                 // of the ring
	waiting           map[string]bool     // nicks for whom a direct message has been left
	met               map[string]struct{} // nicks of users who are or were here
	opened            uint64              // the place up to which the own ones have been shown
	box               opening             // the reading of what is behind it

	ripe    []*person // of tickPeople
	preface []Action  // lines that came before the first one

	now  time.Time
	wake time.Time
	out  []Action
}

// New returns the chat of one user, whose nick is registered. Its first event must be Opened, though messages may come
// before it.
func New(cfg Config) *Talk {
	t := &Talk{
		self:      cfg.Self,
		history:   cfg.History,
		known:     map[known]struct{}{},
		waiting:   map[string]bool{},
		met:       map[string]struct{}{},
		commands:  commands(),
		groups:    map[string]map[ID]struct{}{},
		users:     map[ID]*person{},
		holder:    map[string]ID{},
		nodes:     map[string]bool{},
		early:     map[string]time.Time{},
		gone:      map[string]*farewell{},
		direct:    map[uint64]sent{},
		goneNodes: map[string]NodeView{},
		now:       cfg.Now,
	}
	t.rooms = []*room{{name: cfg.Room}}
	return t
}

// Self is the user as the others see it now.
func (t *Talk) Self() User { return t.self }

// Wake is when the next Tick is due, zero for never.
func (t *Talk) Wake() time.Time { return t.wake }

// Ready says that input may be given. It is not before the first line, not while a room is being entered, so that what a
// script sends next is shown behind the roster, not while there is no nick, and not after too much of it. What is given
// all the same is taken.
func (t *Talk) Ready() bool {
	return t.phase >= open && t.lost == nil && !t.now.Before(t.pause) && !slices.ContainsFunc(t.rooms, func(r *room) bool { return !r.entered || r.recalling() })
}

// Handle takes an event and returns what to do, in order. The slice is valid until the next call. now must not go back.
func (t *Talk) Handle(now time.Time, ev Event) []Action {
	clear(t.out)
	t.now, t.out = now, t.out[:0]
	if t.phase == over {
		return nil
	}
	t.handle(ev)
	if !t.wake.IsZero() && !now.Before(t.wake) {
		t.tick()
	}
	t.progress()
	return t.out
}

func (t *Talk) handle(ev Event) {
	switch ev := ev.(type) {
	case Opened:
		t.open(ev)
	case Resynced:
		t.resync(ev)
	case NickLost:
		t.nickLost(ev)
	case Claimed:
		t.claimed(ev)
	case NotClaimed:
		t.notClaimed(ev)
	case Input:
		t.input(ev.Text)
	case Switch:
		t.makeCurrent(ev.Room)
	case Keystroke:
		t.keystroke()
	case Older:
		t.older()
	case Typing:
		t.typing(ev)
	case TooLong:
		t.problem("message too long: %d bytes, at most %d", ev.Bytes, MaxText)
	case End:
		t.end()
	case NodeUp:
		t.nodeUp(ev.Node)
	case NodeDown:
		t.nodeDown(ev.Node, ev.Reason)
	case Joined:
		t.joined(ev.Group, ev.IDs)
	case Left:
		t.left(ev.Group, ev.IDs, ev.Lost)
	case Missed:
		if ev.Group == Users || t.room(ev.Group) != nil {
			t.problem("%d messages from %s did not reach you: this node takes them in too slowly", ev.Count, ev.Node)
		}
	case Came:
		for _, u := range ev.Users {
			t.came(u)
		}
	case Changed:
		for _, u := range ev.Users {
			t.learn(u)
		}
	case Went:
		t.went(ev.IDs, ev.Lost)
	case Said:
		t.said(ev)
	case Told:
		t.told(ev)
	case Confirmed:
		delete(t.direct, ev.Seq)
	case Stored:
		t.stored(ev.Seq)
	case Unknown:
		t.unknown(ev.Seq)
	case Kept:
		t.keepsNow()
	case Mail:
		t.openBox()
	case Boxed:
		t.boxed(ev)
	case BoxFailed:
		t.boxFailed(ev)
	case Recalled:
		t.recalled(ev)
	case Undelivered:
		t.undelivered(ev.Seq, ev.Reason)
	case Failed:
		t.problem("%s", ev.Text)
	}
}

// progress takes the steps that wait for a condition instead of an event.
func (t *Talk) progress() {
	for _, r := range t.rooms {
		t.tryEnter(r)
	}
	if t.now.Before(t.pause) {
		t.at(t.pause)
	}
	if t.phase == ending {
		t.tryQuit()
	}
}

// tick does what has become due, and finds out what is due next.
func (t *Talk) tick() {
	t.wake = time.Time{}
	t.tickNick()
	t.tickNodes()
	t.tickPeople()
	t.tickDirect()
	t.tickPast()
	t.tickBox()
	t.tickTyping()
	t.tickFloods()
	for _, r := range t.rooms {
		if !r.entered {
			t.at(r.by)
		}
	}
}

// at asks for a Tick at a time. One in the past is due now, which tick handles by its own comparison.
func (t *Talk) at(when time.Time) {
	if when.After(t.now) && (t.wake.IsZero() || when.Before(t.wake)) {
		t.wake = when
	}
}

func (t *Talk) do(a Action) { t.out = append(t.out, a) }

// show shows a line. Before the first line of all it waits for that one.
func (t *Talk) show(l Line) {
	l.Time = t.now
	if t.phase < open {
		if len(t.preface) < maxHeld {
			t.preface = append(t.preface, Show{l})
		}
		return
	}
	t.do(Show{l})
}

func (t *Talk) problem(format string, args ...any) {
	t.show(Line{Kind: Problem, Text: fmt.Sprintf(format, args...)})
}

// end begins the end: nothing more is said, and direct messages get a last chance to arrive.
func (t *Talk) end() {
	switch {
	case t.phase >= ending:
		return
	case t.phase < open:
		t.phase = over
		t.do(Quit{})
		return
	}
	t.phase = ending
	for seq, d := range t.direct {
		if by := t.now.Add(endWait); d.by.After(by) {
			d.by = by
			t.direct[seq] = d
		}
		t.at(t.direct[seq].by)
	}
}

func (t *Talk) tryQuit() {
	if len(t.direct) == 0 {
		t.phase = over
		t.do(Quit{})
	}
}
