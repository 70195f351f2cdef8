package talk

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

// openBox asks for what waits for this user. At the start the first line comes before it. A nick that is lost has a box
// that is somebody else's.
func (t *Talk) openBox() {
	if t.history && t.phase >= open && t.lost == nil {
		t.do(Open{Nick: t.self.Nick, After: t.opened})
	}
}

// boxed shows what has waited, and asks for more. What waited under a nick that this user had when it asked, and has lost
// since, is for the one who keeps it.
func (t *Talk) boxed(ev Boxed) {
	if t.lost != nil || ev.Nick != t.self.Nick || ev.Last <= t.opened {
		return
	}
	t.opened = ev.Last
	for _, p := range ev.Past {
		if CheckName(p.From.Nick) == nil && len(p.Text) <= MaxText && t.fresh(p.Said) {
			t.do(Show{Line{Kind: Direct, Time: p.At, Nick: p.From.Nick, Text: p.Text}})
		}
	}
	t.do(Empty{Nick: t.self.Nick, UpTo: ev.Last})
	t.openBox()
}
