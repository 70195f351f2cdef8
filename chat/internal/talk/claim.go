package talk

import (
	"slices"
	"time"
)

// open takes the state of the mesh.
func (t *Talk) open(ev Opened) {
	t.opened = true
	t.openBy = t.now.Add(OpenWait)
	t.at(t.openBy)
	for _, n := range ev.Nodes {
		t.nodes[n] = true
	}
	for name, ids := range ev.Groups {
		set := t.group(name)
		for _, id := range ids {
			set[id] = struct{}{}
		}
	}
	for _, u := range ev.Users {
		t.came(u)
		if p := t.users[u.ID]; p != nil {
			p.silent = slices.Contains(ev.Silent, u.ID.Node)
		}
	}
}

// claim settles the nick, or refuses it, or waits.
func (t *Talk) claim() {
	wait := false
	for _, p := range t.users {
		switch {
		case p.Nick != t.self.Nick:
		case p.Before(t.self):
			t.phase = over
			t.do(Refuse{Nick: t.self.Nick, Holder: p.ID, Suggestion: t.suggest(t.self.Nick)})
			return
		case !p.silent:
			wait = true
		}
	}
	if wait && t.now.Before(t.openBy) {
		return
	}
	t.phase = entering
	t.self.Settled = true
	t.self.Rev++
	t.do(Announce{t.self})
	t.rooms[0].by = t.now.Add(OpenWait)
	t.at(t.rooms[0].by)
	t.do(Join{t.rooms[0].name})
}

// meet decides between this user and another who has settled on the same nick, as it happens when partitions meet. The
// other one decides the same.
func (t *Talk) meet(p *person) {
	if t.self.Settled && p.Settled && p.Nick == t.self.Nick && p.Before(t.self) && t.phase != over {
		t.rename(p.User)
	}
}

// rename takes another nick, since the other one keeps this one.
func (t *Talk) rename(other User) {
	old := t.self.Nick
	t.self.Nick = t.suggest(old)
	t.self.Rev++
	t.rev++
	for _, r := range t.rooms {
		if r.entered {
			r.shown[t.self.ID] = t.self.Nick
		}
	}
	t.problem("the nick %s belongs to a user on %s: you are now %s", old, other.ID.Node, t.self.Nick)
	t.do(Announce{t.self})
}

func (t *Talk) suggest(nick string) string {
	return Suggest(nick, func(s string) bool {
		_, taken := t.find(s)
		return taken
	})
}

// farewell is users that left because their node was lost, shown once the node is said to be down.
type farewell struct {
	by    time.Time
	lines []Line
}

func (t *Talk) nodeUp(name string) {
	if t.nodes[name] {
		return
	}
	t.sayFarewell(name)
	t.nodes[name] = true
	delete(t.goneNodes, name)
	t.rev++
	delete(t.early, name)
	if t.phase >= open {
		t.show(Line{Kind: NodeIsUp, Node: name})
	}
	t.appearFrom(name)
}

// appearFrom shows the users of a node that waited for it.
func (t *Talk) appearFrom(node string) {
	for _, p := range t.people() {
		if p.ID.Node == node {
			t.appear(p)
		}
	}
}

func (t *Talk) nodeDown(name, reason string) {
	if !t.nodes[name] {
		return
	}
	delete(t.nodes, name)
	t.goneNodes[name] = NodeView{Name: name, Gone: reason, At: t.now}
	t.rev++
	if t.phase >= open {
		t.show(Line{Kind: NodeIsDown, Node: name, Reason: reason})
	}
	t.sayFarewell(name)
}

// sayFarewell shows those who left with a node.
func (t *Talk) sayFarewell(node string) {
	if f := t.gone[node]; f != nil {
		delete(t.gone, node)
		for _, l := range f.lines {
			if t.room(l.Room) != nil {
				t.show(l)
			}
		}
	}
}

func (t *Talk) tickNodes() {
	for node, f := range t.gone {
		if t.now.Before(f.by) {
			t.at(f.by)
		} else {
			t.sayFarewell(node)
		}
	}
	for node, until := range t.early {
		if t.now.Before(until) {
			t.at(until)
			continue
		}
		t.appearFrom(node)
		delete(t.early, node)
	}
}
