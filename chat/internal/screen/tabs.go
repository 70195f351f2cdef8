package screen

import (
	"cmp"
	"slices"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// place is what a tab is about: a room, or the conversation with one user. The name of a room may begin with @ as well.
type place struct {
	name   string // of a conversation: @ and the nick
	direct bool   // a conversation
}

func inRoom(name string) place { return place{name: name} }

func withUser(nick string) place { return place{"@" + nick, true} }

// nick is whom a conversation is with.
func (p place) nick() string { return p.name[1:] }

// tab is one place and what happens there.
type tab struct {
	place
	log     *backlog
	unread  int
	mention bool
	draft   string
	left    bool // the user is not in the room any more; it stays as there is no other tab
	used    int  // when something happened in it last, as tabs count
}

// tabs are the rooms and conversations, rooms first, each kind in the order in which it was opened.
type tabs struct {
	list    []*tab
	current int
	count   int // of lines and openings so far
}

// maxDirect bounds the conversations that are kept, beside the one that is shown: anybody can begin one.
const maxDirect = 100

// now is the tab that is shown, nil when there is none.
func (ts *tabs) now() *tab {
	if len(ts.list) == 0 {
		return nil
	}
	return ts.list[ts.current]
}

func (ts *tabs) find(p place) int {
	return slices.IndexFunc(ts.list, func(t *tab) bool { return t.place == p })
}

// open returns the tab of a place, and makes it when there is none.
func (ts *tabs) open(p place) *tab {
	ts.count++
	if i := ts.find(p); i >= 0 {
		ts.list[i].used = ts.count
		return ts.list[i]
	}
	t := &tab{place: p, log: newBacklog(), used: ts.count}
	if t.direct {
		ts.makeRoom()
	}
	at := len(ts.list)
	if !t.direct {
		at = slices.IndexFunc(ts.list, func(t *tab) bool { return t.direct })
		if at < 0 {
			at = len(ts.list)
		}
	}
	shown := ts.now()
	ts.list = slices.Insert(ts.list, at, t)
	if shown != nil {
		ts.current = slices.Index(ts.list, shown)
	}
	return t
}

// makeRoom drops the conversation that rested longest, when there are as many as there may be: one that has been read if
// there is one, and not the one that is shown.
func (ts *tabs) makeRoom() {
	var others []*tab
	for _, t := range ts.list {
		if t.direct && t != ts.now() {
			others = append(others, t)
		}
	}
	if len(others) < maxDirect {
		return
	}
	oldest := slices.MinFunc(others, func(a, b *tab) int {
		return cmp.Or(cmp.Compare(min(a.unread, 1), min(b.unread, 1)), cmp.Compare(a.used, b.used))
	})
	ts.close(oldest.place)
}

// leave drops the tab of a room that the user has left. The last tab of all stays, for what else is to be shown, until
// there is a room again.
func (ts *tabs) leave(p place) {
	if i := ts.find(p); i >= 0 && len(ts.list) == 1 {
		ts.list[i].left = true
		return
	}
	ts.close(p)
}

// enter shows a room that the user is in, in place of one that was left.
func (ts *tabs) enter(p place) {
	ts.open(p).left = false
	ts.show(ts.find(p))
	if i := slices.IndexFunc(ts.list, func(t *tab) bool { return t.left }); i >= 0 {
		ts.close(ts.list[i].place)
	}
}

// in says whether there is a tab of a room that the user is in.
func (ts *tabs) in(p place) bool {
	i := ts.find(p)
	return i >= 0 && !ts.list[i].left
}

// close drops a tab and shows the one before it, if it was shown.
func (ts *tabs) close(p place) {
	i := ts.find(p)
	if i < 0 || len(ts.list) == 1 {
		return
	}
	ts.list = slices.Delete(ts.list, i, i+1)
	if i < ts.current || ts.current == len(ts.list) {
		ts.current--
	}
	ts.list[ts.current].read()
}

// show makes a tab the current one.
func (ts *tabs) show(i int) {
	if 0 <= i && i < len(ts.list) {
		ts.current = i
		ts.list[i].read()
	}
}

func (t *tab) read() { t.unread, t.mention = 0, false }

// placeOf is where a line belongs, zero for the tab that is shown.
func placeOf(l talk.Line) place {
	switch l.Kind {
	case talk.Message, talk.JoinedRoom, talk.LeftRoom:
		return inRoom(l.Room)
	case talk.Direct, talk.DirectSent:
		return withUser(l.Nick)
	}
	return place{}
}

// add puts a line where it belongs, and counts it as unread where nobody looks.
func (ts *tabs) add(l talk.Line, nick string) {
	var t *tab
	switch p := placeOf(l); {
	case p != place{}:
		t = ts.open(p)
	case ts.now() != nil:
		t = ts.now()
	default:
		return
	}
	t.log.add(l)
	if t == ts.now() {
		return
	}
	switch l.Kind {
	case talk.Message:
		t.unread++
		t.mention = t.mention || mentions(l.Text, nick)
	case talk.Direct:
		t.unread++
		t.mention = true
	}
}
