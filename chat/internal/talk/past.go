package talk

import (
	"strconv"
	"time"
)

const (
	// pastShown is how many messages a newcomer to a room sees, and how many /history adds unless it says otherwise.
	pastShown = 20
	// againShown is how many are read at once of those that were kept while a newcomer joined.
	againShown = 100
	// maxPast is how many /history adds at most.
	maxPast = 500
	// maxKnown bounds the messages that are known again when they come a second time.
	maxKnown = 4096
)

// past is what a room knows of its history.
type past struct {
	// until is when the messages that come are no more held back for those that are being read; zero when none are.
	until time.Time
	asked bool   // the user wanted them
	begun bool   // the first message of all has been read
	first uint64 // the place of the oldest message that has been read, zero for none
	last  uint64 // and of the newest
	// again is when the newest are read once more: somebody who did not know yet that this user is here may have kept a
	// message only after they were read.
	again time.Time
}

// recalling says that messages have to wait for those before them.
func (r *room) recalling() bool { return !r.past.until.IsZero() }

// recall reads a part of a room's history, and holds back what comes until it is here or takes too long.
func (t *Talk) recall(r *room, count int, asked bool) {
	r.past.until, r.past.asked = t.now.Add(recallWait), asked
	t.at(r.past.until)
	t.do(Recall{Room: r.name, Before: r.past.first, Count: count})
}

// recalled shows what was said before.
func (t *Talk) recalled(ev Recalled) {
	r := t.room(ev.Room)
	switch {
	case ev.Failed != "":
	case !ev.None:
		t.keepsNow()
	default:
		t.keeps = false
		t.noHistory(r != nil && r.past.asked)
	}
	switch {
	case r == nil:
		return
	case ev.Again:
		t.missedAtStart(r, ev)
		return
	case ev.None:
	case ev.Failed != "":
		t.problem("the history of %s cannot be read now: %s", ev.Room, ev.Failed)
	case t.showPast(r, ev):
		return
	}
	t.recallOver(r)
}

// keepsNow notes that somebody keeps what is said, and looks into the box that could not be there before.
func (t *Talk) keepsNow() {
	if t.keeps {
		return
	}
	t.keeps = true
	if t.box.none {
		t.openBox()
	}
}

// showPast shows a page, without what has been shown. When nothing is left of it, the page before is read.
func (t *Talk) showPast(r *room, ev Recalled) (reads bool) {
	if r.past.first == 0 {
		r.past.again = t.now.Add(againWait)
		t.at(r.past.again)
	}
	if ev.First > 0 {
		r.past.first = ev.First
		r.past.last = max(r.past.last, ev.Last)
	}
	var lines []Line
	for _, p := range ev.Past {
		if l, ok := t.remembered(r.name, p); ok {
			lines = append(lines, l)
		}
	}
	switch {
	case len(lines) > 0:
		t.do(ShowPast{Room: r.name, Lines: lines, Asked: r.past.asked})
	case ev.Read > 0 && r.past.asked:
		t.recall(r, ev.Count, true)
		return true
	case r.past.asked:
		t.problem("no older messages in %s", r.name)
	}
	r.past.begun = r.past.begun || ev.Read == 0
	return false
}

// remembered is a kept message as a line; ok is false for one that has been shown, or makes no sense.
func (t *Talk) remembered(room string, p Past) (l Line, ok bool) {
	if CheckName(p.From.Nick) != nil || len(p.Text) > MaxText || !t.fresh(p.Said) {
		return Line{}, false
	}
	return Line{Kind: Message, Time: p.At, Room: room, Nick: p.From.Nick, Text: p.Text, Mine: p.From.ID == t.self.ID}, true
}

// missedAtStart shows what was kept while this user joined, and has not come. When it cannot be read now it is later.
func (t *Talk) missedAtStart(r *room, ev Recalled) {
	if ev.Failed != "" {
		r.past.again = t.now.Add(againWait)
		t.at(r.past.again)
		return
	}
	for _, p := range ev.Past {
		if l, ok := t.remembered(r.name, p); ok {
			t.do(Show{l})
		}
	}
	if ev.Last > 0 {
		r.past.last = ev.Last
	}
	if ev.Read == ev.Count {
		t.readOn(r)
	}
}

// readOn reads what has been kept since the newest message that was read.
func (t *Talk) readOn(r *room) {
	t.do(Recall{Room: r.name, After: r.past.last, Again: true, Count: againShown})
}

// recallOver lets messages pass again.
func (t *Talk) recallOver(r *room) {
	r.past.until, r.past.asked = time.Time{}, false
	t.release(r)
}

// fresh says whether a message is seen for the first time, and remembers it. Where nothing is kept, nothing can come
// twice.
func (t *Talk) fresh(ev Said) bool {
	if !t.history || ev.Seq == 0 {
		return true
	}
	m := known{ev.From.ID, ev.Seq}
	if _, had := t.known[m]; had {
		return false
	}
	if len(t.order) < maxKnown {
		t.order = append(t.order, m)
	} else {
		delete(t.known, t.order[t.oldest])
		t.order[t.oldest] = m
		t.oldest = (t.oldest + 1) % maxKnown
	}
	t.known[m] = struct{}{}
	return true
}

// known is a message that has been shown.
type known struct {
	from ID
	seq  uint64
}

// noHistory says that there is none: why when the user asks, and else once, to people only.
func (t *Talk) noHistory(asked bool) {
	switch {
	case asked && !t.toldWhy:
		t.toldWhy = true
		t.problem("no history: this mesh has no store node that keeps the messages of its rooms")
	case asked:
		t.problem("no history")
	case !t.toldNone:
		t.show(Line{Kind: Hint, Text: "this mesh keeps no history: /history says why"})
	}
	t.toldNone = true
}

func (t *Talk) historyCommand(args []string) {
	count := pastShown
	if len(args) == 1 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 || n > maxPast {
			t.problem("usage: /history [N], N from 1 to %d", maxPast)
			return
		}
		count = n
	}
	switch r := t.current(); {
	case !t.history:
		t.noHistory(true)
	case r == nil:
		t.problem("you are in no room: /join ROOM")
	case r.recalling():
		t.problem("the history of %s is being read", r.name)
	default:
		t.recall(r, count, true)
	}
}

// older is /history for somebody who scrolls: where there is nothing, nothing is said.
func (t *Talk) older() {
	if r := t.current(); r != nil && r.entered && t.keeps && !r.recalling() && !r.past.begun {
		t.recall(r, pastShown, true)
	}
}

// tickPast gives up waiting for a history, and reads the newest of it once more when that is due.
func (t *Talk) tickPast() {
	for _, r := range t.rooms {
		if r.recalling() {
			if t.now.Before(r.past.until) {
				t.at(r.past.until)
			} else {
				t.recallLate(r)
			}
		}
		switch p := &r.past; {
		case p.again.IsZero():
		case t.now.Before(p.again):
			t.at(p.again)
		default:
			p.again = time.Time{}
			t.readOn(r)
		}
	}
}

// recallLate goes on without the history, which is shown when it comes.
func (t *Talk) recallLate(r *room) {
	asked := r.past.asked
	t.recallOver(r)
	r.past.asked = asked
}
