package talk

import (
	"cmp"
	"slices"
	"time"
)

// View is the state of the talk for an interface that shows more than lines.
type View struct {
	// Self is the user.
	Self User
	// Room is the current room, empty for none.
	Room string
	// Rooms are the rooms this user is in, and Others the rest, by name.
	Rooms, Others []RoomView
	// People are those in the current room, sorted by nick.
	People []PersonView
	// Users are the nicks of all users, sorted.
	Users []string
	// Nodes are the nodes of the mesh by name, with those that went within the last minute.
	Nodes []NodeView
}

// RoomView is a room.
type RoomView struct {
	Name    string
	Members int
}

// PersonView is somebody in a room.
type PersonView struct {
	Nick, Node string
	// Away is why they are away, empty when they are not.
	Away   string
	Typing bool
	Self   bool
}

// NodeView is a node.
type NodeView struct {
	Name string
	Self bool
	// Gone is why the node went, empty while it is there, and At when.
	Gone string
	At   time.Time
	// RTT is the round-trip time, zero when it is not known.
	RTT time.Duration
}

// Rev changes whenever the View does.
func (t *Talk) Rev() uint64 { return t.rev }

// View returns the state. It shares nothing with the talk.
func (t *Talk) View() View {
	v := View{Self: t.self}
	if r := t.current(); r != nil {
		v.Room = r.name
		v.People = t.peopleIn(r.name)
	}
	for name, members := range t.groups {
		if CheckName(name) != nil || len(members) == 0 {
			continue
		}
		rv := RoomView{name, len(members)}
		if t.room(name) != nil {
			v.Rooms = append(v.Rooms, rv)
		} else {
			v.Others = append(v.Others, rv)
		}
	}
	byName := func(a, b RoomView) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(v.Rooms, byName)
	slices.SortFunc(v.Others, byName)
	v.Users = t.allNicks()
	v.Nodes = append(v.Nodes, NodeView{Name: t.self.ID.Node, Self: true})
	for name := range t.nodes {
		v.Nodes = append(v.Nodes, NodeView{Name: name})
	}
	t.forgetNodes()
	for _, g := range t.goneNodes {
		v.Nodes = append(v.Nodes, g)
	}
	slices.SortFunc(v.Nodes, func(a, b NodeView) int { return cmp.Compare(a.Name, b.Name) })
	return v
}

func (t *Talk) peopleIn(room string) (out []PersonView) {
	for id := range t.groups[room] {
		if id == t.self.ID {
			out = append(out, PersonView{Nick: t.self.Nick, Node: id.Node, Away: t.self.Away, Self: true})
		} else if p := t.users[id]; p != nil && !t.contestedNow(p) {
			out = append(out, PersonView{Nick: p.Nick, Node: id.Node, Away: p.Away, Typing: p.typingIn == room})
		}
	}
	slices.SortFunc(out, func(a, b PersonView) int { return cmp.Or(cmp.Compare(a.Nick, b.Nick), cmp.Compare(a.Node, b.Node)) })
	return out
}
