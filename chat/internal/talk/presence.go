package talk

import "time"

// maxTyping is the size of a room up to which its members hear that somebody is typing.
const maxTyping = 50

// keystroke tells the room that this user is writing, now and then.
func (t *Talk) keystroke() {
	r := t.current()
	if r == nil || !r.entered || t.now.Sub(r.typed) < typingEvery {
		return
	}
	if n := len(t.groups[r.name]); n < 2 || n > maxTyping {
		return
	}
	r.typed = t.now
	t.do(ShowTyping{r.name})
}

// typing notes that somebody is writing something for a room.
func (t *Talk) typing(ev Typing) {
	p, r := t.users[ev.From], t.room(ev.Room)
	if p == nil || r == nil {
		return
	}
	p.typing, p.typingIn = t.now.Add(typingLasts), ev.Room
	t.at(p.typing)
	t.rev++
}

// stopTyping ends that: what was written has come, or nothing did.
func (t *Talk) stopTyping(id ID) {
	if p := t.users[id]; p != nil && p.typingIn != "" {
		p.typing, p.typingIn = time.Time{}, ""
		t.rev++
	}
}

func (t *Talk) tickTyping() {
	for id, p := range t.users {
		switch {
		case p.typingIn == "":
		case t.now.Before(p.typing):
			t.at(p.typing)
		default:
			t.stopTyping(id)
		}
	}
}

// maxAway bounds the words of somebody who is away, in bytes.
const maxAway = 200

func (t *Talk) awayCommand(args []string) {
	why := "away"
	if len(args) == 1 {
		why = args[0]
	}
	if len(why) > maxAway {
		t.problem("too long: %d bytes, at most %d", len(why), maxAway)
		return
	}
	t.setAway(why)
	t.show(Line{Kind: Notice, Text: "you are away: " + why})
}

func (t *Talk) backCommand([]string) {
	t.setAway("")
	t.show(Line{Kind: Notice, Text: "you are back"})
}

func (t *Talk) setAway(why string) {
	if t.self.Away != why {
		t.self.Away = why
		t.self.Rev++
		t.rev++
		t.do(Announce{t.self})
	}
}
