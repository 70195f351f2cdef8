package main

import (
	"time"

	"github.com/kith-mesh/kith/chat/internal/screen"
	"github.com/kith-mesh/kith/chat/internal/talk"
)

// The people of the picture.
var (
	alice = person("alice", "alice", 1)
	bob   = person("bob", "bob", 1)
	carol = person("carol", "berlin", 1)
	dave  = person("dave", "berlin", 2)
	erin  = person("erin", "lisbon", 1)
)

func person(nick, node string, num uint64) talk.User {
	return talk.User{ID: talk.ID{Node: node + "@127.0.0.1", Incarnation: 1, Num: num}, Nick: nick, Since: num}
}

// actor plays the mesh for alice's talk, and collects what is shown.
type actor struct {
	talk  *talk.Talk
	now   time.Time
	shown []screen.Shown
}

// after lets time pass and something happen.
func (a *actor) after(d time.Duration, ev talk.Event) {
	a.now = a.now.Add(d)
	for _, act := range a.talk.Handle(a.now, ev) {
		switch act := act.(type) {
		case talk.Show:
			a.shown = append(a.shown, screen.Shown{Line: &act.Line})
		case talk.ShowPast:
			a.shown = append(a.shown, screen.Shown{Past: &act})
		}
	}
	view := a.talk.View()
	for i, n := range view.Nodes {
		if n.Gone == "" && !n.Self {
			view.Nodes[i].RTT = time.Duration(180+130*i) * time.Microsecond
		}
	}
	a.shown = append(a.shown, screen.Shown{View: &view})
}

func (a *actor) says(d time.Duration, u talk.User, room, text string) {
	a.after(d, talk.Said{From: u, Room: room, Text: text})
}

// scene plays the conversation and returns the screen as a terminal gets it.
func scene(width, height int) (string, int, int) {
	start := time.Date(2026, 9, 1, 9, 41, 3, 0, time.UTC)
	a := &actor{now: start}
	a.talk = talk.New(talk.Config{Self: alice, Room: "lobby", History: true, Now: start})
	a.after(0, talk.Opened{
		Users:  []talk.User{alice, bob, carol, dave, erin},
		Groups: map[string][]talk.ID{"lobby": {bob.ID, carol.ID, erin.ID}, "dev": {carol.ID, dave.ID}, "garden": {erin.ID}},
		Nodes:  []string{bob.ID.Node, carol.ID.Node, erin.ID.Node},
	})
	a.after(0, talk.Joined{Group: "lobby", IDs: []talk.ID{alice.ID}})
	old := func(u talk.User, minutes int, text string) talk.Past {
		return talk.Past{Said: talk.Said{From: u, Room: "lobby", Text: text}, At: start.Add(-time.Duration(minutes) * time.Minute)}
	}
	a.after(0, talk.Recalled{
		Recall: talk.Recall{Room: "lobby"}, Read: 3, First: 1, Last: 3,
		Past: []talk.Past{
			old(carol, 61, "I moved the store to the new disk, tell me if anything is slow"),
			old(bob, 47, "carol: writes are down to 4 ms, thank you"),
			old(erin, 12, "lunch at half past twelve?"),
		},
	})
	a.after(0, talk.Input{Text: "/join dev"})
	a.after(0, talk.Joined{Group: "dev", IDs: []talk.ID{alice.ID}})
	a.after(0, talk.Recalled{Recall: talk.Recall{Room: "dev"}})
	a.after(0, talk.Switch{Room: "lobby"})
	a.says(9*time.Second, bob, "lobby", "morning! who starts the release?")
	a.says(14*time.Second, alice, "lobby", "I do. Nodes say goodbye first, so nobody should notice")
	a.says(11*time.Second, carol, "dev", "the tests are green on all three")
	a.after(5*time.Second, talk.NodeDown{Node: erin.ID.Node, Reason: "connection_closed"})
	a.after(0, talk.Left{Group: "lobby", IDs: []talk.ID{erin.ID}, Lost: true})
	a.after(0, talk.Went{IDs: []talk.ID{erin.ID}, Lost: true})
	a.says(8*time.Second, bob, "lobby", "erin's laptop again. Did you see how fast that showed?")
	a.after(2*time.Second, talk.Told{From: carol, Seq: 1, Text: "shall I press the button?"})
	a.says(7*time.Second, dave, "dev", "alice: ready when you are")
	a.says(9*time.Second, carol, "lobby", "Nothing is obeyed that should only be shown: \x1b[2J \a, and 漢字 fit their cells")
	away := bob
	away.Away, away.Rev = "coffee", 1
	a.after(time.Second, talk.Changed{Users: []talk.User{away}})
	a.after(time.Second, talk.Typing{From: carol.ID, Room: "lobby"})
	return screen.Draw(screen.Still{
		Width: width, Height: height, Zone: time.UTC, Shown: a.shown, Input: "carol: two minutes",
	}), width, height
}
