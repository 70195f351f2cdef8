package talk

import (
	"maps"
	"slices"
	"time"
)

// sent is a direct message that has not been confirmed. One that is left for somebody who is not here goes to nobody, and
// its text is kept to be shown.
type sent struct {
	to   ID
	nick string
	text string
	by   time.Time
}

// maxDirect bounds the direct messages that wait for a confirmation.
const maxDirect = 1000

// maxMet bounds how many nicks are remembered after their users have gone.
const maxMet = 10_000

// tell sends a direct message.
func (t *Talk) tell(nick, text string) {
	id, ok := t.find(nick)
	switch {
	case !ok && (!t.keeps || CheckName(nick) != nil):
		t.noSuchUser(nick)
		return
	case !t.fits(text):
		return
	case len(t.direct) == maxDirect:
		t.problem("%d direct messages are on their way already: not sent to %s", maxDirect, nick)
		return
	}
	t.seq++
	by := t.now.Add(DirectWait)
	if !ok {
		by = t.now.Add(BoxWait)
	}
	t.direct[t.seq] = sent{to: id, nick: nick, text: text, by: by}
	t.at(by)
	if !ok {
		_, met := t.met[nick]
		t.do(Store{Nick: nick, Seq: t.seq, Text: text, By: by, Met: met})
		t.paced()
		return
	}
	t.show(Line{Kind: DirectSent, Nick: nick, Text: text, Mine: true})
	t.do(Tell{To: id, Seq: t.seq, Text: text})
	t.paced()
}

// told shows a direct message and confirms it.
func (t *Talk) told(ev Told) {
	if len(ev.Text) > MaxText || CheckName(ev.From.Nick) != nil {
		return
	}
	t.learn(ev.From)
	if t.phase == over || !t.admitted(ev.From.ID) {
		return
	}
	t.show(Line{Kind: Direct, Nick: t.nick(ev.From), Text: ev.Text})
	t.do(Confirm{To: ev.From.ID, Seq: ev.Seq})
}

// undelivered reports a direct message that did not arrive.
func (t *Talk) undelivered(seq uint64, reason string) {
	if d, ok := t.direct[seq]; ok {
		delete(t.direct, seq)
		t.problem("your message did not reach %s: %s", d.nick, reason)
	}
}

// undeliverable gives up the messages to a user who has gone.
func (t *Talk) undeliverable(id ID) {
	for _, seq := range slices.Sorted(maps.Keys(t.direct)) {
		if t.direct[seq].to == id {
			t.undelivered(seq, "gone")
		}
	}
}

func (t *Talk) tickDirect() {
	for _, seq := range slices.Sorted(maps.Keys(t.direct)) {
		if d := t.direct[seq]; t.now.Before(d.by) {
			t.at(d.by)
		} else {
			t.undelivered(seq, "no answer")
		}
	}
}
