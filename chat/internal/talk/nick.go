package talk

import "time"

// lostNick is a nick that this user had, and another one keeps.
type lostNick struct {
	nick, node string
	// claim is the nick that has been asked for in its place.
	claim string
	// tried are those that were taken.
	tried map[string]bool
	// again is when it is asked for once more, zero while an answer is awaited.
	again time.Time
}

// nickLost looks for another nick, since somebody else keeps this one.
func (t *Talk) nickLost(ev NickLost) {
	switch {
	case t.phase == over:
	case t.lost != nil && ev.Nick == t.lost.claim: // lost before we heard that we had it
		t.notClaimed(NotClaimed{Nick: ev.Nick, Taken: true})
	case t.lost == nil && ev.Nick == t.self.Nick:
		t.lost = &lostNick{nick: ev.Nick, node: ev.Node, tried: map[string]bool{ev.Nick: true}}
		t.box = opening{} // it is somebody else's
		t.claimNext()
	}
}

// claimNext asks for the next nick that nobody is known to have.
func (t *Talk) claimNext() {
	l := t.lost
	l.claim = Suggest(l.nick, func(s string) bool {
		_, taken := t.find(s)
		return taken || l.tried[s]
	})
	l.again = time.Time{}
	t.do(Claim{l.claim})
}

// claimed takes the new nick.
func (t *Talk) claimed(ev Claimed) {
	l := t.lost
	if l == nil || ev.Nick != l.claim {
		return
	}
	t.lost, t.opened = nil, 0
	t.self.Nick, t.self.Since = ev.Nick, ev.Since
	t.self.Rev++
	t.rev++
	for _, r := range t.rooms {
		if r.entered {
			r.shown[t.self.ID] = t.self.Nick
		}
	}
	t.problem("the nick %s belongs to a user on %s: you are now %s", l.nick, l.node, t.self.Nick)
	t.do(Announce{t.self})
	t.openBox()
	// Whoever has the old one was not shown to join while it was ours as well.
	for _, p := range t.people() {
		if p.Nick == l.nick && !p.contested.IsZero() {
			p.contested = time.Time{}
			t.appear(p)
		}
	}
}

// notClaimed asks for another nick, or for the same one later.
func (t *Talk) notClaimed(ev NotClaimed) {
	l := t.lost
	switch {
	case l == nil || ev.Nick != l.claim:
	case ev.Taken:
		l.tried[ev.Nick] = true
		t.claimNext()
	default:
		l.again = t.now.Add(claimPause)
		t.at(l.again)
	}
}

func (t *Talk) tickNick() {
	if l := t.lost; l != nil && !l.again.IsZero() {
		if t.now.Before(l.again) {
			t.at(l.again)
		} else {
			t.claimNext()
		}
	}
}
