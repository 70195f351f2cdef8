package talk

import (
	"maps"
	"slices"
	"time"
)

// person is a user that has said hello.
type person struct {
	User
	heard     time.Time
	contested time.Time // somebody with a better right has the nick: this one is not shown to join before then
	waited    bool      // the contest is over, and nothing came of it
	direct    bool      // this came from the user itself
	typing    time.Time // until then the user is shown to be typing
	typingIn  string    // in this room
	got       bucket    // messages
	flood     int       // messages that were not shown
}

// ask is a nick that is being asked for.
type ask struct {
	tries int
	next  time.Time
	seq   uint64 // of the last question, 0 before the first
	// silent says that the user's node does not answer, so that nobody waits.
	silent bool
	// direct says that the user itself was asked, and not only another on its node.
	direct bool
}

// askAgain is when the next try is due after each one, counted from it. After the last the user stays without a nick
// until it says hello.
var askAgain = [...]time.Duration{200 * time.Millisecond, 400 * time.Millisecond, time.Second, 5 * time.Second}

// knownBatch bounds the users in one answer.
const knownBatch = 500

// known are the users to tell somebody who asks, this one first.
func (t *Talk) known() []User {
	out := make([]User, 0, 1+len(t.users))
	out = append(out, t.self)
	for id, p := range t.users {
		if t.in(Users, id) {
			out = append(out, p.User)
		}
	}
	slices.SortFunc(out[1:], func(a, b User) int { return a.ID.Compare(b.ID) })
	return out
}

// asked answers a user who asks who is there.
func (t *Talk) asked(u User, seq uint64) {
	t.learn(u, true, true)
	if t.phase == over {
		return
	}
	for batch := range slices.Chunk(t.known(), knownBatch) {
		t.do(Answer{To: u.ID, Seq: seq, Users: batch})
	}
}

// people are the users that have said hello, in the order of their IDs, so that what is shown about several of them at
// once comes in the same order every time.
func (t *Talk) people() []*person {
	out := slices.Collect(maps.Values(t.users))
	slices.SortFunc(out, func(a, b *person) int { return a.ID.Compare(b.ID) })
	return out
}

// heardOf takes what one user says about others. About users of its own node that is as good as their own word if it
// answers a question that we asked since they joined: it heard all their hellos before that question. What it says of
// others may be old, so that they are asked all the same, though nobody waits for it.
func (t *Talk) heardOf(ev Known) {
	for _, u := range ev.Users {
		a := t.asks[u.ID]
		fresh := a != nil && ev.From.Node == u.ID.Node && a.seq > 0 && ev.Seq >= a.seq
		t.learn(u, u.ID == ev.From, fresh)
	}
	// Those of its node that it does not know have just come, and are asked themselves.
	for id, a := range t.asks {
		if id.Node == ev.From.Node && a.tries == 1 && a.seq == ev.Seq && !a.direct {
			a.next = t.now
		}
	}
	t.tickAsks()
}

// learn takes what is said about a user: directly, by itself, or by another, and then fresh or not.
func (t *Talk) learn(u User, direct, fresh bool) {
	if u.ID == t.self.ID || u.ID == (ID{}) || CheckName(u.Nick) != nil {
		return
	}
	if !direct && !t.in(Users, u.ID) {
		return // it has gone meanwhile, or the news of it is still to come
	}
	p := t.users[u.ID]
	switch {
	case p == nil:
		p = &person{User: u, heard: t.now}
		t.users[u.ID] = p
		t.at(t.now.Add(orphanWait))
	case u.Rev < p.Rev:
		return
	case u.Nick != p.Nick:
		t.renamed(p, u)
	default:
		p.direct = p.direct && u.Rev == p.Rev
		p.User = u
	}
	p.direct = p.direct || direct
	t.rev++
	switch {
	case t.undecided(p):
		t.askItself(u.ID)
	case direct || fresh:
		delete(t.asks, u.ID)
	}
	t.hold(p)
	if u.Nick == t.self.Nick {
		t.conflict(u)
	}
	t.appear(p)
}

// undecided says that somebody else is said to claim our nick while we do. How that goes only the claimant knows.
func (t *Talk) undecided(p *person) bool {
	return t.phase == claiming && p.Nick == t.self.Nick && !p.Settled && !p.direct
}

// awaited says that a user's nick is being asked for and that something has to wait for it.
func (t *Talk) awaited(id ID) bool {
	p := t.users[id]
	a := t.asks[id]
	return a != nil && !a.silent && (p == nil || t.undecided(p))
}

// askItself asks a user now, unless that has been done.
func (t *Talk) askItself(id ID) {
	a := t.asks[id]
	if a == nil {
		a = &ask{}
		t.asks[id] = a
	}
	if !a.direct {
		a.next = t.now
		t.tickAsks()
	}
}

// allHeard says that nobody's nick has to be waited for.
func (t *Talk) allHeard() bool {
	for id := range t.asks {
		if t.awaited(id) {
			return false
		}
	}
	return true
}

// hold records who has the best right to a nick, and makes the other wait: it will soon have another nick.
func (t *Talk) hold(p *person) {
	holder, ok := t.holder[p.Nick]
	switch other := t.users[holder]; {
	case p.Nick == t.self.Nick && t.self.Settled && t.self.Before(p.User):
		t.contest(p)
	case !ok || holder == p.ID || other == nil || !t.in(Users, holder):
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
	p.User, p.contested, p.waited, p.direct = u, time.Time{}, false, false
	for _, r := range t.rooms {
		if nick, ok := r.shown[p.ID]; ok && nick != u.Nick {
			t.show(Line{Kind: LeftRoom, Room: r.name, Nick: nick})
			r.shown[p.ID] = u.Nick
			t.show(Line{Kind: JoinedRoom, Room: r.name, Nick: u.Nick})
		}
	}
}

// forget drops a user who left the users' group.
func (t *Talk) forget(id ID) {
	delete(t.asks, id)
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
	if id, ok := t.holder[nick]; ok && t.in(Users, id) {
		return id, true
	}
	for id, p := range t.users {
		if p.Nick == nick && t.in(Users, id) {
			t.holder[nick] = id
			return id, true
		}
	}
	return ID{}, false
}

// askFor asks for a nick after a while, unless that is on its way already.
func (t *Talk) askFor(id ID, after time.Duration) {
	if id == t.self.ID || t.asks[id] != nil {
		return
	}
	t.asks[id] = &ask{next: t.now.Add(after)}
	t.at(t.asks[id].next)
}

// tickAsks asks for the nicks that are due. The first time one user of each node answers for all of it, and for
// whoever else it knows, which helps where a user is frozen; after that each is asked itself, and another beside it.
func (t *Talk) tickAsks() {
	var due []ID
	for id, a := range t.asks {
		switch {
		case t.now.Before(a.next):
			t.at(a.next)
		case a.tries == len(askAgain):
			delete(t.asks, id)
		default:
			due = append(due, id)
		}
	}
	slices.SortFunc(due, ID.Compare)
	asked := map[string]bool{}
	if len(due) > 0 {
		t.askSeq++
	}
	for _, id := range due {
		a := t.asks[id]
		if first := a.tries == 0; !first || !asked[id.Node] || t.users[id] != nil {
			t.do(Ask{To: id, Seq: t.askSeq, User: t.self})
			asked[id.Node], a.direct = true, true
		}
		if a.tries == 1 {
			t.askOther(id)
		}
		a.next = t.now.Add(askAgain[a.tries])
		a.tries++
		a.seq = t.askSeq
		t.at(a.next)
	}
}

// askOther asks a user on another node, who may know the nick of one that does not answer.
func (t *Talk) askOther(id ID) {
	best := ID{}
	for other := range t.users {
		if other.Node != id.Node && t.in(Users, other) && (best == ID{} || other.Compare(best) < 0) {
			best = other
		}
	}
	if best != (ID{}) {
		t.do(Ask{To: best, Seq: t.askSeq, User: t.self})
	}
}

// tickPeople shows those whose contest is over and drops those who said hello and never came.
func (t *Talk) tickPeople() {
	for _, p := range t.people() {
		if !p.contested.IsZero() {
			if t.now.Before(p.contested) {
				t.at(p.contested)
			} else {
				p.contested = time.Time{}
				p.waited = true
				t.appear(p)
			}
		}
		if t.in(Users, p.ID) {
			continue
		}
		if by := p.heard.Add(orphanWait); t.now.Before(by) {
			t.at(by)
		} else {
			t.forget(p.ID)
		}
	}
}
