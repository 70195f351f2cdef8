package talk

import "time"

// Who is not here finds the direct messages that were left meanwhile when they come back. They are kept under the nick.

// stored says that a message waits for its receiver, who may have come meanwhile.
func (t *Talk) stored(seq uint64) {
	d, ok := t.direct[seq]
	if !ok {
		return
	}
	delete(t.direct, seq)
	t.show(Line{Kind: DirectSent, Nick: d.nick, Text: d.text, Mine: true})
	if id, here := t.find(d.nick); here {
		t.do(Poke{id})
		return
	}
	t.show(Line{Kind: Hint, Text: d.nick + " is not here: your message waits"})
	if len(t.waiting) < maxDirect {
		t.waiting[d.nick] = true
	}
}

// unknown says that nobody of that name has been here lately.
func (t *Talk) unknown(seq uint64) {
	if d, ok := t.direct[seq]; ok {
		delete(t.direct, seq)
		t.noSuchUser(d.nick)
	}
}

func (t *Talk) noSuchUser(nick string) { t.problem("no such user: %s", short(nick)) }

// opening is the reading of the own box: once at a time, however many say that there is something in it.
type opening struct {
	nick  string    // whose box is being read, empty while none is
	again bool      // and is to be read once more
	retry time.Time // when to try again, zero for never
	none  bool      // nobody kept anything when it was tried last
}

// openBox asks for what waits for this user. At the start the first line comes before it. A nick that is lost has a box
// that is somebody else's.
func (t *Talk) openBox() {
	switch {
	case !t.history || t.phase < open || t.lost != nil:
	case t.box.nick != "":
		t.box.again = true
	default:
		t.box = opening{nick: t.self.Nick}
		t.do(Open{Nick: t.self.Nick, After: t.opened})
	}
}

// boxed shows what has waited, and asks for more. What waited under a nick that this user had when it asked, and has lost
// since, is for the one who keeps it.
func (t *Talk) boxed(ev Boxed) {
	if ev.Nick != t.box.nick {
		return
	}
	again := t.box.again
	t.box = opening{}
	if ev.Last > t.opened {
		t.unpack(ev)
		again = true
	}
	if again {
		t.openBox()
	}
}

// unpack shows what has waited.
func (t *Talk) unpack(ev Boxed) {
	t.opened = ev.Last
	for _, p := range ev.Past {
		if CheckName(p.From.Nick) == nil && len(p.Text) <= MaxText && t.fresh(p.Said) {
			t.do(Show{Line{Kind: Direct, Time: p.At, Nick: p.From.Nick, Text: p.Text}})
		}
	}
	t.do(Empty{Nick: ev.Nick, UpTo: ev.Last})
}

// boxFailed tries again later, unless there is nobody who could have anything: then when there is.
func (t *Talk) boxFailed(ev BoxFailed) {
	if ev.Nick != t.box.nick {
		return
	}
	t.box = opening{none: ev.None}
	if !ev.None || t.keeps {
		t.box.retry = t.now.Add(boxPause)
		t.at(t.box.retry)
	}
}

func (t *Talk) tickBox() {
	switch retry := t.box.retry; {
	case retry.IsZero():
	case t.now.Before(retry):
		t.at(retry)
	default:
		t.openBox()
	}
}
