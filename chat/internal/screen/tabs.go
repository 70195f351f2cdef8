package screen

import (
	"cmp"
	"slices"

	"github.com/kith-mesh/kith/chat/internal/talk"
)

// tab is a room, or the conversation with one user, whose name then begins with @.
type tab struct {
	name    string
	log     *backlog
	unread  int
	mention bool
	draft   string
	used    int // when something happened in it last, as tabs count
}

func (t *tab) direct() bool { return t.name[0] == '@' }

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

func (ts *tabs) find(name string) int {
	return slices.IndexFunc(ts.list, func(t *tab) bool { return t.name == name })
}

// open returns the tab of that name, and makes it when there is none.
func (ts *tabs) open(name string) *tab {
	ts.count++
	if i := ts.find(name); i >= 0 {
		ts.list[i].used = ts.count
		return ts.list[i]
	}
	t := &tab{name: name, log: newBacklog(), used: ts.count}
	if t.direct() {
		ts.makeRoom()
	}
	at := len(ts.list)
	if !t.direct() {
		at = slices.IndexFunc(ts.list, (*tab).direct)
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
		if t.direct() && t != ts.now() {
			others = append(others, t)
		}
	}
	if len(others) < maxDirect {
		return
	}
	oldest := slices.MinFunc(others, func(a, b *tab) int {
		return cmp.Or(cmp.Compare(min(a.unread, 1), min(b.unread, 1)), cmp.Compare(a.used, b.used))
	})
	ts.close(oldest.name)
}

// close drops a tab and shows the one before it, if it was shown.
func (ts *tabs) close(name string) {
	i := ts.find(name)
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

// place is the name of the tab that a line belongs to, empty for the current one.
func place(l talk.Line) string {
	switch l.Kind {
	case talk.Message, talk.JoinedRoom, talk.LeftRoom:
		return l.Room
	case talk.Direct, talk.DirectSent:
		return "@" + l.Nick
	}
	return ""
}

// add puts a line where it belongs, and counts it as unread where nobody looks.
func (ts *tabs) add(l talk.Line, nick string) {
	name := place(l)
	if l.Kind == talk.Roster && ts.find(l.Room) < 0 && len(ts.list) == 0 {
		name = l.Room // the first room
	}
	var t *tab
	switch {
	case name != "":
		t = ts.open(name)
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
