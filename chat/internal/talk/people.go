package talk

import (
	"maps"
	"slices"
	"time"
)

// person is a user, as far as it is known.
type person struct {
	User
	here      bool      // in the group of all users; otherwise only a message has come
	heard     time.Time // when it was first heard of
	contested time.Time // somebody with a better right has the nick: this one is not shown to join before then
	waited    bool      // the contest is over, and nothing came of it
	typing    time.Time // until then the user is shown to be typing
	typingIn  string    // in this room
	got       bucket    // messages
	flood     int       // messages that were not shown
}

// people are the users in the order of their IDs, so that what is shown about several of them at once comes in the same
// order every time.
func (t *Talk) people() []*person {
	out := slices.Collect(maps.Values(t.users))
	slices.SortFunc(out, func(a, b *person) int { return a.ID.Compare(b.ID) })
	return out
}

// came takes a user who is here.
func (t *Talk) came(u User) {
	p := t.learn(u)
	if p == nil || p.here {
		return
	}
	p.here = true
	t.hold(p)
	if len(t.met) < maxMet {
		t.met[p.Nick] = struct{}{}
	}
	if t.waiting[p.Nick] {
		delete(t.waiting, p.Nick)
		t.do(Poke{p.ID})
	}
	t.appear(p)
}

// learn takes what a user says about itself, in the group or with a message. It returns nil for nobody.
func (t *Talk) learn(u User) *person {
	if u.ID == t.self.ID || u.ID == (ID{}) || CheckName(u.Nick) != nil {
		return nil
	}
	p := t.users[u.ID]
	switch {
	case p == nil:
		p = &person{User: u, heard: t.now}
		t.users[u.ID] = p
		t.at(t.now.Add(orphanWait))
	case u.Rev < p.Rev || u == p.User:
		return p
	case u.Nick != p.Nick:
		t.renamed(p, u)
	default:
		p.User = u
	}
	t.rev++
	t.hold(p)
	t.appear(p)
	return p
}

// hold records who has the best right to a nick, and makes the other wait: it will soon have another nick.
func (t *Talk) hold(p *person) {
	holder, ok := t.holder[p.Nick]
	switch other := t.users[holder]; {
	case p.Nick == t.self.Nick: // one of us is about to lose it
		t.contest(p)
	case !ok || holder == p.ID || other == nil || !other.here:
		t.holder[p.Nick] = p.ID
	case p.Before(other.User):
		t.holder[p.Nick] = p.ID
		t.contest(other)
	default:
		t.contest(p)
	}
}

func (t *Talk) contest(p *person) {
	if p.contested.IsZero() && !p.waited {
		p.contested = t.now.Add(contestWait)
		t.at(p.contested)
	}
}

// contestedNow says that a person is expected to take another nick.
func (t *Talk) contestedNow(p *person) bool { return t.now.Before(p.contested) }

// showable says that a user may be shown in a room that it has joined.
func (t *Talk) showable(id ID) bool {
	p := t.users[id]
	if p == nil || t.contestedNow(p) {
		return false
	}
	if id.Node == t.self.ID.Node || t.nodes[id.Node] {
		return true
	}
	until, ok := t.early[id.Node]
	if !ok {
		until = t.now.Add(OrderWait)
		t.early[id.Node] = until
		t.at(until)
	}
	return !t.now.Before(until)
}

// renamed gives a person another nick. Where the old one was shown, it leaves and the new one joins.
func (t *Talk) renamed(p *person, u User) {
	if t.holder[p.Nick] == p.ID {
		delete(t.holder, p.Nick)
	}
	p.User, p.contested, p.waited = u, time.Time{}, false
	for _, r := range t.rooms {
		if nick, ok := r.shown[p.ID]; ok && nick != u.Nick {
			t.show(Line{Kind: LeftRoom, Room: r.name, Nick: nick})
			r.shown[p.ID] = u.Nick
			t.show(Line{Kind: JoinedRoom, Room: r.name, Nick: u.Nick})
		}
	}
}

// went takes users who are users no more. They have left everything.
func (t *Talk) went(ids []ID, lost bool) {
	for _, id := range ids {
		for _, r := range t.rooms {
			t.leftOne(r.name, id, lost)
		}
		t.undeliverable(id)
		t.forget(id)
	}
}

func (t *Talk) forget(id ID) {
	if p := t.users[id]; p != nil {
		if t.holder[p.Nick] == id {
			delete(t.holder, p.Nick)
		}
		delete(t.users, id)
	}
	t.rev++
}

// nick is what to call a user whose message has come.
func (t *Talk) nick(u User) string {
	if u.ID == t.self.ID {
		return t.self.Nick
	}
	if p := t.users[u.ID]; p != nil {
		return p.Nick
	}
	return u.Nick
}

// find returns the user with a nick, this one included.
func (t *Talk) find(nick string) (ID, bool) {
	if nick == t.self.Nick {
		return t.self.ID, true
	}
	if id, ok := t.holder[nick]; ok && t.isHere(id) {
		return id, true
	}
	for id, p := range t.users {
		if p.Nick == nick && p.here {
			t.holder[nick] = id
			return id, true
		}
	}
	return ID{}, false
}

func (t *Talk) isHere(id ID) bool {
	p := t.users[id]
	return p != nil && p.here
}

// tickPeople shows those whose contest is over and drops those who said something and never came.
func (t *Talk) tickPeople() {
	var orphans []ID
	for id, p := range t.users {
		if by := p.heard.Add(orphanWait); !p.here && t.now.Before(by) {
			t.at(by)
		} else if !p.here {
			orphans = append(orphans, id)
		}
		if p.contested.IsZero() {
			continue
		}
		if t.now.Before(p.contested) {
			t.at(p.contested)
			continue
		}
		p.contested = time.Time{}
		p.waited = true
		t.ripe = append(t.ripe, p)
	}
	for _, id := range orphans {
		t.forget(id)
	}
	slices.SortFunc(t.ripe, func(a, b *person) int { return a.ID.Compare(b.ID) })
	for _, p := range t.ripe {
		t.appear(p)
	}
	t.ripe = t.ripe[:0]
}
