package talk

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

// A simulated mesh, as far as the talk can see one: nodes with ordered channels between each two, group tables that
// follow joins and leaves over these channels, and users with a mailbox and, apart from it, a queue of group events
// that reach the mailbox late, as they do in the adapter.

type simMesh struct {
	t     *rapid.T
	now   time.Time
	nodes []*simNode
	users []*simUser
	clock uint64
}

type simNode struct {
	mesh   *simMesh
	name   string
	peers  map[*simNode]bool          // the other end of the session is up
	groups map[string]map[ID]struct{} // all members, as this node sees them
	meta   map[ID]User                // what users say of themselves
	inbox  map[*simNode][]func()      // frames on their way from each peer, in order
	users  []*simUser
}

type simUser struct {
	node    *simNode
	id      ID
	talk    *Talk
	mailbox []Event
	events  []Event // of groups and nodes, not yet in the mailbox
	watches bool
	echoes  map[*simNode]bool // answers that are awaited
	rooms   map[string]bool
	nick    string // that is registered, empty for none
	since   uint64
	done    bool
	refused bool
	lines   []Line
	saidTo  []string
}

func newSimMesh(t *rapid.T, nodes int) *simMesh {
	m := &simMesh{t: t, now: epoch}
	for i := range nodes {
		m.nodes = append(m.nodes, &simNode{
			mesh: m, name: fmt.Sprintf("n%d", i), peers: map[*simNode]bool{},
			groups: map[string]map[ID]struct{}{}, meta: map[ID]User{}, inbox: map[*simNode][]func(){},
		})
	}
	for i, a := range m.nodes {
		for _, b := range m.nodes[i+1:] {
			m.link(a, b)
		}
	}
	return m
}

// link opens a session and has the nodes tell each other their members.
func (m *simMesh) link(a, b *simNode) {
	if a.peers[b] {
		return
	}
	a.up(b)
	b.up(a)
	m.resolve(a, b)
}

// register gives a user a nick unless somebody within two steps has it. The real registry sees at least as far.
func (m *simMesh) register(u *simUser, nick string) bool {
	for _, other := range m.users {
		if other.nick == nick && m.near(u.node, other.node) {
			return false
		}
	}
	m.clock++
	u.nick, u.since = nick, m.clock
	return true
}

func (m *simMesh) near(a, b *simNode) bool {
	return a == b || a.peers[b] || slices.ContainsFunc(m.nodes, func(n *simNode) bool { return a.peers[n] && n.peers[b] })
}

// resolve takes the nicks that two nodes both have from those who registered them later.
func (m *simMesh) resolve(a, b *simNode) {
	for _, u := range a.users {
		for _, v := range b.users {
			if u.nick == "" || u.nick != v.nick {
				continue
			}
			loser, winner := u, v
			if u.since < v.since {
				loser, winner = v, u
			}
			loser.nick = ""
			loser.mailbox = append(loser.mailbox, NickLost{Nick: winner.nick, Node: winner.node.name})
		}
	}
}

func (n *simNode) up(peer *simNode) {
	n.peers[peer] = true
	n.emit(NodeUp{peer.name})
	for _, group := range slices.Sorted(maps.Keys(n.groups)) {
		var local []ID
		for id := range n.groups[group] {
			if id.Node == n.name {
				local = append(local, id)
			}
		}
		meta := maps.Clone(n.meta)
		n.send(peer, func() { peer.join(group, local, meta) })
	}
}

// cut ends a session: what is on its way is lost, and the members there have left.
func (m *simMesh) cut(a, b *simNode) {
	if !a.peers[b] {
		return
	}
	for _, pair := range [][2]*simNode{{a, b}, {b, a}} {
		n, peer := pair[0], pair[1]
		n.peers[peer], n.inbox[peer] = false, nil
		down := NodeDown{peer.name, "net_tick_timeout"}
		first := rapid.Bool().Draw(m.t, "nodedown first")
		if first {
			n.emit(down)
		}
		for _, group := range slices.Sorted(maps.Keys(n.groups)) {
			var gone []ID
			for id := range n.groups[group] {
				if id.Node == peer.name {
					gone = append(gone, id)
				}
			}
			if len(gone) > 0 {
				n.leave(group, gone, true)
			}
		}
		if !first {
			n.emit(down)
		}
		for _, u := range n.users {
			u.answered(peer)
		}
	}
}

func (n *simNode) send(peer *simNode, f func()) {
	if n.peers[peer] {
		peer.inbox[n] = append(peer.inbox[n], f)
	}
}

func (n *simNode) emit(ev Event) {
	for _, u := range n.users {
		if u.watches {
			u.events = append(u.events, ev)
		}
	}
}

func (n *simNode) join(group string, ids []ID, meta map[ID]User) {
	if n.groups[group] == nil {
		n.groups[group] = map[ID]struct{}{}
	}
	var users []User
	for _, id := range ids {
		n.groups[group][id] = struct{}{}
		if group == Users {
			n.meta[id] = meta[id]
			users = append(users, meta[id])
		}
	}
	if group == Users {
		n.emit(Came{users})
	} else {
		n.emit(Joined{group, ids})
	}
}

func (n *simNode) setMeta(u User) {
	n.meta[u.ID] = u
	n.emit(Changed{[]User{u}})
}

func (n *simNode) leave(group string, ids []ID, lost bool) {
	for _, id := range ids {
		delete(n.groups[group], id)
		if group == Users {
			delete(n.meta, id)
		}
	}
	if group == Users {
		n.emit(Went{ids, lost})
	} else {
		n.emit(Left{group, ids, lost})
	}
}

// local puts an event into the mailboxes of the members of a group on this node.
func (n *simNode) local(group string, ev Event) {
	for _, u := range n.users {
		if _, ok := n.groups[group][u.id]; ok && !u.done {
			u.mailbox = append(u.mailbox, ev)
		}
	}
}

func (n *simNode) broadcast(group string, ev Event) {
	n.local(group, ev)
	for _, peer := range n.mesh.nodes {
		if slices.ContainsFunc(slices.Collect(maps.Keys(n.groups[group])), func(id ID) bool { return id.Node == peer.name }) {
			n.send(peer, func() { peer.local(group, ev) })
		}
	}
}

func (n *simNode) tell(to ID, ev Event) {
	for _, peer := range n.mesh.nodes {
		if peer.name != to.Node {
			continue
		}
		put := func() {
			for _, u := range peer.users {
				if u.id == to && !u.done {
					u.mailbox = append(u.mailbox, ev)
				}
			}
		}
		if peer == n {
			put()
		} else {
			n.send(peer, put)
		}
	}
}

// start begins the chat of a user: it registers the nick, joins the users and makes a round trip to every node.
func (m *simMesh) start(n *simNode, nick string) *simUser {
	u := &simUser{
		node: n, id: ID{n.name, 1, uint64(len(m.users) + 1)}, echoes: map[*simNode]bool{}, rooms: map[string]bool{},
	}
	u.done = !m.register(u, nick)
	u.refused = u.done
	u.talk = New(Config{Self: User{ID: u.id, Nick: nick, Since: u.since}, Room: "lobby", Now: m.now})
	m.users, n.users = append(m.users, u), append(n.users, u)
	if u.done {
		return u
	}
	u.joinGroup(Users)
	for _, peer := range m.nodes {
		if n.peers[peer] {
			u.echoes[peer] = true
			n.send(peer, func() { peer.send(n, func() { u.answered(peer) }) })
		}
	}
	u.answered(nil)
	return u
}

func (u *simUser) joinGroup(group string) {
	meta := map[ID]User{u.id: u.talk.Self()}
	u.node.join(group, []ID{u.id}, meta)
	for _, peer := range u.node.mesh.nodes {
		u.node.send(peer, func() { peer.join(group, []ID{u.id}, meta) })
	}
}

func (u *simUser) announce(user User) {
	u.node.setMeta(user)
	for _, peer := range u.node.mesh.nodes {
		u.node.send(peer, func() { peer.setMeta(user) })
	}
}

func (u *simUser) leaveGroup(group string) {
	u.node.leave(group, []ID{u.id}, false)
	for _, peer := range u.node.mesh.nodes {
		u.node.send(peer, func() { peer.leave(group, []ID{u.id}, false) })
	}
}

// answered opens the talk once every node has.
func (u *simUser) answered(peer *simNode) {
	delete(u.echoes, peer)
	if len(u.echoes) > 0 || u.watches {
		return
	}
	u.watches = true
	ev := Opened{Groups: map[string][]ID{}}
	for group, ids := range u.node.groups {
		if group != Users {
			ev.Groups[group] = slices.Collect(maps.Keys(ids))
		}
	}
	ev.Users = slices.Collect(maps.Values(u.node.meta))
	for _, p := range u.node.mesh.nodes {
		if u.node.peers[p] {
			ev.Nodes = append(ev.Nodes, p.name)
		}
	}
	u.events = append(u.events, ev)
}

func (u *simUser) handle(ev Event) {
	if u.done {
		return
	}
	for _, a := range slices.Clone(u.talk.Handle(u.node.mesh.now, ev)) {
		switch a := a.(type) {
		case Show:
			u.lines = append(u.lines, a.Line)
		case Join:
			u.rooms[a.Room] = true
			u.joinGroup(a.Room)
		case Leave:
			delete(u.rooms, a.Room)
			u.leaveGroup(a.Room)
		case Say:
			group := a.Room
			if group == "" {
				group = Users
			}
			u.node.broadcast(group, Said{From: u.talk.Self(), Room: a.Room, Text: a.Text, Seq: a.Seq})
		case Announce:
			u.announce(a.User)
		case Tell:
			u.node.tell(a.To, Told{From: u.talk.Self(), Seq: a.Seq, Text: a.Text})
		case Confirm:
			u.node.tell(a.To, Confirmed{a.Seq})
		case Claim:
			if u.node.mesh.register(u, a.Nick) {
				u.mailbox = append(u.mailbox, Claimed{a.Nick, u.since})
			} else {
				u.mailbox = append(u.mailbox, NotClaimed{a.Nick, true})
			}
		case Quit:
			u.quit()
		}
	}
}

func (u *simUser) quit() {
	u.done, u.nick = true, ""
	for _, room := range slices.Sorted(maps.Keys(u.rooms)) {
		u.leaveGroup(room)
	}
	u.leaveGroup(Users)
}

// step lets one thing happen that is due, chosen by pick; false when nothing is.
func (m *simMesh) step(pick func(n int) int) bool {
	var due []func()
	for _, n := range m.nodes {
		for _, peer := range m.nodes {
			if len(n.inbox[peer]) > 0 {
				due = append(due, func() {
					f := n.inbox[peer][0]
					n.inbox[peer] = n.inbox[peer][1:]
					f()
				})
			}
		}
	}
	for _, u := range m.users {
		if len(u.events) > 0 {
			due = append(due, func() {
				u.mailbox = append(u.mailbox, u.events[0])
				u.events = u.events[1:]
			})
		}
		if len(u.mailbox) > 0 {
			due = append(due, func() {
				ev := u.mailbox[0]
				u.mailbox = u.mailbox[1:]
				u.handle(ev)
			})
		}
	}
	if len(due) == 0 {
		return false
	}
	due[pick(len(due))]()
	return true
}

// pass lets time pass up to the next timer, or by d.
func (m *simMesh) pass(d time.Duration) {
	end := m.now.Add(d)
	for {
		next := end
		for _, u := range m.users {
			if w := u.talk.Wake(); !u.done && !w.IsZero() && w.Before(next) {
				next = w
			}
		}
		m.now = next
		for _, u := range m.users {
			if w := u.talk.Wake(); !u.done && !w.IsZero() && !w.After(m.now) {
				u.handle(Tick{})
			}
		}
		if !next.Before(end) {
			return
		}
	}
}

// rest heals the mesh and lets everything happen, and time pass, until nothing more does.
func (m *simMesh) rest() {
	for i, a := range m.nodes {
		for _, b := range m.nodes[i+1:] {
			m.link(a, b)
		}
	}
	for end := m.now.Add(20 * time.Second); m.now.Before(end); {
		for m.step(func(int) int { return 0 }) {
		}
		next := end
		for _, u := range m.users {
			if w := u.talk.Wake(); !u.done && !w.IsZero() && w.Before(next) {
				next = w
			}
		}
		m.pass(next.Sub(m.now))
	}
	for m.step(func(int) int { return 0 }) {
	}
}

func (u *simUser) transcript() string {
	var b strings.Builder
	for _, l := range u.lines {
		fmt.Fprintf(&b, "    %s\n", l.Format())
	}
	return b.String()
}
