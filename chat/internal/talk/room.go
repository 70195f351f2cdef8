package talk

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// room is a room that this user is in.
type room struct {
	name string
	// by is when the roster is shown at the latest.
	by time.Time
	// entered is set once the roster has been shown.
	entered bool
	// held are the messages that wait for the roster, and the departures of those who said them.
	held []heldBack
	// dropped counts those for which there was no room.
	dropped int
	// typed is when the others were last told that this user is writing.
	typed time.Time
	past  past
	// shown are the members that were shown to be here, under which nick.
	shown map[ID]string
}

// heldBack is a message, or when left is set only the departure of its sender.
type heldBack struct {
	Said
	left, lost bool
}

// maxHeld bounds the messages that wait for a roster: a second of a very busy room.
const maxHeld = 10_000

func (t *Talk) group(name string) map[ID]struct{} {
	set := t.groups[name]
	if set == nil {
		set = map[ID]struct{}{}
		t.groups[name] = set
	}
	return set
}

func (t *Talk) in(group string, id ID) bool {
	_, ok := t.groups[group][id]
	return ok
}

// room returns the room of that name that this user is in, or nil.
func (t *Talk) room(name string) *room {
	for _, r := range t.rooms {
		if r.name == name {
			return r
		}
	}
	return nil
}

// current is the room that input goes to, or nil.
func (t *Talk) current() *room {
	if len(t.rooms) == 0 {
		return nil
	}
	return t.rooms[len(t.rooms)-1]
}

// hold keeps a message until the roster has been shown.
func (r *room) hold(ev Said) {
	if len(r.held) < maxHeld {
		r.held = append(r.held, heldBack{Said: ev})
	} else {
		r.dropped++
	}
}

// holds says whether messages of somebody wait.
func (r *room) holds(id ID) bool {
	return slices.ContainsFunc(r.held, func(h heldBack) bool { return h.From.ID == id })
}

// holdLeave keeps the departure of somebody whose messages wait.
func (r *room) holdLeave(id ID, lost bool) {
	if r.holds(id) {
		r.held = append(r.held, heldBack{Said: Said{From: User{ID: id}}, left: true, lost: lost})
	}
}

// release shows what has been held back, now that the roster has been shown.
func (t *Talk) release(r *room) {
	held := r.held
	r.held = nil
	for _, h := range held {
		nick, shown := r.shown[h.From.ID]
		switch {
		case !h.left:
			t.utter(r, h.Said)
		case shown && !t.in(r.name, h.From.ID):
			delete(r.shown, h.From.ID)
			t.show(Line{Kind: LeftRoom, Room: r.name, Nick: nick, Lost: h.lost})
		}
	}
	if r.dropped > 0 {
		t.problem("%d messages came before the roster of %s and are lost", r.dropped, r.name)
		r.dropped = 0
	}
}

// utter shows a message to a room, and before it that its sender is there.
func (t *Talk) utter(r *room, ev Said) {
	if !t.fresh(ev) {
		return
	}
	nick := t.nick(ev.From)
	if p := t.users[ev.From.ID]; p != nil {
		t.appearIn(r, p)
	} else if _, shown := r.shown[ev.From.ID]; !shown {
		r.shown[ev.From.ID] = nick
		t.show(Line{Kind: JoinedRoom, Room: r.name, Nick: nick})
	}
	t.show(Line{Kind: Message, Room: r.name, Nick: nick, Text: ev.Text, Mine: ev.From.ID == t.self.ID})
}

// enter joins a room, or makes it the current one.
func (t *Talk) enter(name string) {
	if err := CheckName(name); err != nil {
		t.problem("%s: 1 to %d printable characters without space, [ or ], not beginning with /", err, MaxName)
		return
	}
	r := t.room(name)
	switch {
	case r == nil && len(t.rooms) == MaxRooms:
		t.problem("you are in %d rooms already: /leave one first", MaxRooms)
		return
	case r == nil:
		r = &room{name: name, by: t.now.Add(OpenWait)}
		t.at(r.by)
		t.do(Join{name})
	default:
		if r.entered {
			t.showRoster(name)
		}
		t.makeCurrent(name)
		return
	}
	t.rooms = append(t.rooms, r)
	t.rev++
}

// makeCurrent has input go to a room that this user is in.
func (t *Talk) makeCurrent(name string) {
	if r := t.room(name); r != nil {
		t.rooms = append(slices.DeleteFunc(t.rooms, func(x *room) bool { return x == r }), r)
		t.rev++
	}
}

// tryEnter shows the roster once this user is in, or the time is up.
func (t *Talk) tryEnter(r *room) {
	if r.entered || t.phase < entering || t.phase == over {
		return
	}
	if !t.in(r.name, t.self.ID) && t.now.Before(r.by) {
		return
	}
	t.group(r.name)[t.self.ID] = struct{}{}
	t.rev++
	r.entered, r.shown = true, map[ID]string{t.self.ID: t.self.Nick}
	for id := range t.groups[r.name] {
		if p := t.users[id]; p != nil && !t.contestedNow(p) {
			r.shown[id] = p.Nick
		}
	}
	first := t.phase == entering
	if first {
		t.phase = open
		t.show(Line{Kind: Connected, Nick: t.self.Nick, Node: t.self.ID.Node})
	}
	t.show(Line{Kind: Roster, Room: r.name, Names: slices.Sorted(maps.Values(r.shown)), Entered: true})
	if len(t.preface) > 0 {
		t.out = append(t.out, t.preface...)
		t.preface = nil
	}
	if t.history {
		if first {
			t.openBox()
		}
		t.recall(r, pastShown, false)
		return
	}
	t.release(r)
}

// joined takes new members of a room.
func (t *Talk) joined(group string, ids []ID) {
	set := t.group(group)
	t.rev++
	for _, id := range ids {
		if _, ok := set[id]; ok {
			continue
		}
		set[id] = struct{}{}
		if p := t.users[id]; p != nil {
			t.appear(p)
		}
	}
}

// appear shows that somebody joined the rooms that this user is in, where it is so and has not been shown.
func (t *Talk) appear(p *person) {
	for _, r := range t.rooms {
		if t.in(r.name, p.ID) && t.showable(p.ID) {
			t.appearIn(r, p)
		}
	}
}

// appearIn shows that somebody joined a room, unless it has been shown.
func (t *Talk) appearIn(r *room, p *person) {
	if _, ok := r.shown[p.ID]; ok || !r.entered {
		return
	}
	t.sayFarewell(p.ID.Node)
	r.shown[p.ID] = p.Nick
	t.show(Line{Kind: JoinedRoom, Room: r.name, Nick: p.Nick})
}

// left takes members that left a room.
func (t *Talk) left(group string, ids []ID, lost bool) {
	t.rev++
	for _, id := range ids {
		if id == t.self.ID {
			delete(t.groups[group], id)
		} else {
			t.leftOne(group, id, lost)
		}
	}
	if len(t.groups[group]) == 0 {
		delete(t.groups, group)
	}
}

func (t *Talk) leftOne(group string, id ID, lost bool) {
	delete(t.groups[group], id)
	r := t.room(group)
	if r == nil {
		return
	}
	if !r.entered || r.recalling() && r.holds(id) {
		r.holdLeave(id, lost)
		return
	}
	nick, ok := r.shown[id]
	if !ok {
		return
	}
	delete(r.shown, id)
	l := Line{Kind: LeftRoom, Room: group, Nick: nick, Lost: lost, Time: t.now}
	if !lost || !t.nodes[id.Node] {
		t.show(l)
		return
	}
	f := t.gone[id.Node]
	if f == nil {
		f = &farewell{by: t.now.Add(OrderWait)}
		t.gone[id.Node] = f
		t.at(f.by)
	}
	f.lines = append(f.lines, l)
}

// said shows a message to a room or to everybody.
func (t *Talk) said(ev Said) {
	if len(ev.Text) > MaxText || CheckName(ev.From.Nick) != nil {
		return
	}
	mine := ev.From.ID == t.self.ID
	if !mine {
		t.learn(ev.From)
	}
	if t.phase == over || !mine && !t.admitted(ev.From.ID) {
		return
	}
	t.stopTyping(ev.From.ID)
	if ev.Room == "" {
		t.show(Line{Kind: ToAll, Nick: t.nick(ev.From), Text: ev.Text, Mine: mine})
		return
	}
	r := t.room(ev.Room)
	if r == nil {
		return
	}
	if !mine {
		// It speaks, so it is here: the news of it is on its way.
		t.group(ev.Room)[ev.From.ID] = struct{}{}
	}
	if r.entered && !r.recalling() {
		t.utter(r, ev)
	} else {
		r.hold(ev)
	}
}

// sayHere sends a line to the current room.
func (t *Talk) sayHere(text string) {
	if r := t.current(); r != nil {
		t.say(r.name, text)
	} else {
		t.problem("you are in no room: /join ROOM")
	}
}

// say sends a message to a room, or to everybody when room is empty.
func (t *Talk) say(room, text string) {
	if t.fits(text) {
		t.seq++
		t.do(Say{Room: room, Text: text, Seq: t.seq})
		t.paced()
	}
}

func (t *Talk) fits(text string) bool {
	if len(text) > MaxText {
		t.problem("message too long: %d bytes, at most %d", len(text), MaxText)
		return false
	}
	return true
}

func (t *Talk) leaveCommand(args []string) {
	r := t.current()
	if len(args) == 1 {
		r = t.room(args[0])
	}
	if r == nil {
		if len(args) == 1 {
			t.problem("you are not in %s", short(args[0]))
		} else {
			t.problem("you are in no room: /join ROOM")
		}
		return
	}
	t.rooms = slices.DeleteFunc(t.rooms, func(x *room) bool { return x == r })
	t.rev++
	delete(t.groups[r.name], t.self.ID)
	t.do(Leave{r.name})
	t.show(Line{Kind: LeftRoom, Room: r.name, Nick: t.self.Nick, Mine: true})
}

func (t *Talk) whoCommand(args []string) {
	switch r := t.current(); {
	case len(args) == 1:
		if CheckName(args[0]) != nil || len(t.groups[args[0]]) == 0 {
			t.problem("no such room: %s", short(args[0]))
			return
		}
		t.showRoster(args[0])
	case r != nil:
		t.showRoster(r.name)
	default:
		t.problem("you are in no room: /who ROOM")
	}
}

// showRoster shows who is in a room.
func (t *Talk) showRoster(name string) {
	t.show(Line{Kind: Roster, Room: name, Names: t.nicks(name)})
}

// nicks are the sorted nicks of those in a group whose nick is known.
func (t *Talk) nicks(group string) []string {
	var out []string
	for id := range t.groups[group] {
		if id == t.self.ID {
			out = append(out, t.self.Nick)
		} else if p := t.users[id]; p != nil && !t.contestedNow(p) {
			out = append(out, p.Nick)
		}
	}
	slices.Sort(out)
	return out
}

func (t *Talk) usersCommand([]string) {
	t.show(Line{Kind: List, Text: "users", Names: t.allNicks()})
}

// allNicks are the sorted nicks of all users.
func (t *Talk) allNicks() []string {
	out := []string{t.self.Nick}
	for _, p := range t.users {
		if p.here && !t.contestedNow(p) {
			out = append(out, p.Nick)
		}
	}
	slices.Sort(out)
	return out
}

func (t *Talk) roomsCommand([]string) {
	var out []string
	for name, members := range t.groups {
		if CheckName(name) == nil && len(members) > 0 {
			out = append(out, fmt.Sprintf("%s (%d)", name, len(members)))
		}
	}
	slices.Sort(out)
	t.show(Line{Kind: List, Text: "rooms", Names: out})
}

func (t *Talk) nodesCommand([]string) {
	names := append(slices.Collect(maps.Keys(t.nodes)), t.self.ID.Node)
	slices.Sort(names)
	t.show(Line{Kind: List, Text: "nodes", Names: names})
}

func (t *Talk) helpCommand([]string) {
	t.show(Line{Kind: List, Text: "commands", Names: Commands()})
}
