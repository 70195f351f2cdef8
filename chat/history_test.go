package chat_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/history"
	"github.com/kith-mesh/kith/internal/freeport"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

// storeSites starts three store nodes and makes two ordinary ones chat sites, whose chats have a history.
func storeSites(t *testing.T) (s []*site, restart func(i int)) {
	t.Helper()
	start := starter(t)
	stores := make([]*node.Node, 3)
	for i := range stores {
		stores[i] = start(storeName(i))
	}
	s = chatSites(t, start)
	for _, site := range s {
		if err := site.node.WaitPeers(t.Context(), 4); err != nil {
			t.Fatal(err)
		}
	}
	return s, func(i int) {
		stores[i].Close()
		stores[i] = start(storeName(i))
	}
}

// chatSites starts two ordinary nodes and makes them chat sites, whose chats have a history where there are stores.
func chatSites(t *testing.T, start func(name string) *node.Node) (s []*site) {
	t.Helper()
	for _, name := range []string{"a@127.0.0.1", "b@127.0.0.1"} {
		s = append(s, newSite(t, start(name)))
	}
	for _, site := range s {
		site.history = openHistory(t, site.node)
	}
	return s
}

// starter returns what starts the nodes of a mesh, of which three are stores.
func starter(t *testing.T) (start func(name string) *node.Node) {
	t.Helper()
	dir, list := t.TempDir(), map[string]string{}
	addrs, err := freeport.Addrs(3)
	if err != nil {
		t.Fatal(err)
	}
	for i, addr := range addrs {
		list[storeName(i)] = addr
	}
	return func(name string) *node.Node {
		n, err := node.Start(t.Context(), node.Config{Name: name, Cookie: []byte("a cookie for the chats"), DataDir: dir, Store: list})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		return n
	}
}

func storeName(i int) string { return fmt.Sprintf("s%d@127.0.0.1", i) }

// kept waits until a number of messages of a room is kept.
func (s *site) kept(t *testing.T, room string, n int) {
	t.Helper()
	meshtest.Eventually(t, fmt.Sprint(n, " messages are kept"), func() bool {
		page, err := s.history.Last(t.Context(), "room/"+room, history.MaxPage)
		return err == nil && len(page) == n
	})
}

func openHistory(t *testing.T, n *node.Node) *history.Log {
	t.Helper()
	log, err := chat.OpenHistory(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func TestHistory(t *testing.T) {
	s, restart := storeSites(t)
	if err := s[0].history.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}

	t.Run("newcomer", func(t *testing.T) {
		ann := join(t, s[0], "ann")
		for i := range 30 {
			ann.say(fmt.Sprint("said ", i))
		}
		ann.line("[lobby] ann: said 29")
		s[1].kept(t, "lobby", 30)
		bob := join(t, s[1], "bob")
		var want []string
		for i := 10; i < 30; i++ {
			want = append(want, fmt.Sprint("[lobby] ann: said ", i))
		}
		bob.line(want[19])
		if got := bob.out.lines()[2:]; !slices.Equal(got, want) {
			t.Fatalf("bob begins with %q", got)
		}
		ann.say("and live")
		bob.line("[lobby] ann: and live")
		bob.say("/history 4")
		for i := 6; i < 10; i++ {
			bob.line(fmt.Sprint("[lobby] ann: said ", i))
		}
		bob.say("/history 200")
		bob.line("[lobby] ann: said 0")
		bob.line("[lobby] ann: said 5")
		bob.say("/history")
		bob.line("! no older messages in lobby")
		for _, p := range []*person{ann, bob} {
			if n := p.count(`^\[lobby\] `); n != 31 {
				t.Errorf("%s sees %d messages, want 31", p.nick, n)
			}
		}
		// Leaving a room and coming back shows nothing twice.
		bob.say("/leave")
		bob.line("* bob left lobby")
		bob.say("/join lobby")
		bob.line("* lobby: ann, bob")
		bob.say("here again")
		bob.line("[lobby] bob: here again")
		if n := bob.count(`^\[lobby\] `); n != 32 {
			t.Errorf("bob sees %d messages, want 32", n)
		}
	})

	t.Run("joining_in_mid_conversation", func(t *testing.T) {
		inRoom := func(c *chat.Config) { c.Room = "busy" }
		ann := join(t, s[0], "ann", inRoom)
		const count, newcomers = 400, 5
		late := make(chan *person, newcomers)
		for i := range count {
			ann.say(fmt.Sprint(i))
			if i%80 == 40 {
				ann.line(fmt.Sprint("[busy] ann: ", i))
				late <- enter(t, s[i/80%2], fmt.Sprint("late", i/80), inRoom)
			}
		}
		close(late)
		for p := range late {
			p.line(fmt.Sprint("[busy] ann: ", count-1))
			meshtest.Eventually(t, p.nick+" has seen all since the first that it saw, once", func() bool {
				seen, first := map[int]int{}, count
				for _, l := range p.out.lines() {
					if text, ok := strings.CutPrefix(l, "[busy] ann: "); ok {
						n, err := strconv.Atoi(text)
						if seen[n]++; err != nil || seen[n] > 1 {
							t.Fatalf("%s sees %q %d times", p.nick, l, seen[n])
						}
						first = min(first, n)
					}
				}
				return len(seen) == count-first
			})
		}
	})

	t.Run("away", func(t *testing.T) {
		ann, bob := join(t, s[0], "ann"), join(t, s[1], "bob")
		ann.line("* bob joined lobby")
		bob.say("/quit")
		ann.line("* bob left lobby")
		ann.say("/msg bob first")
		ann.say("/msg typo hello")
		ann.say("/msg bob second")
		ann.line("(dm to bob) first")
		ann.line("! no such user: typo")
		ann.line("(dm to bob) second")
		bob = join(t, s[0], "bob")
		bob.line("(dm) ann: first")
		bob.line("(dm) ann: second")
		ann.say("/msg bob third")
		bob.line("(dm) ann: third")
		bob.say("/quit")
		ann.line("* bob left lobby")
		bob = join(t, s[1], "bob")
		ann.line("* bob joined lobby")
		ann.say("/msg bob fourth")
		bob.line("(dm) ann: fourth")
		if n := bob.count(`^\(dm\)`); n != 1 {
			t.Errorf("bob sees %q", bob.out.lines())
		}
	})

	t.Run("given_up", func(t *testing.T) { // what did not arrive in time does not arrive later
		log := s[0].history
		if err := log.Append(t.Context(), history.Record{Topic: "seen/dan", ID: "dan"}); err != nil {
			t.Fatal(err)
		}
		chat.StoreLate(t.Context(), log, "dan")
		if page, err := log.AfterConfirmed(t.Context(), "box/dan", 0, 1); err != nil || len(page) > 0 {
			t.Errorf("%d messages wait for dan, %v", len(page), err)
		}
	})

	t.Run("store_restarts", func(t *testing.T) {
		inRoom := func(c *chat.Config) { c.Room = "steady" }
		ann := join(t, s[0], "ann", inRoom)
		const count = 150
		for i := range count {
			ann.say(fmt.Sprint(i))
			if i%50 == 25 {
				restart(i / 50)
			}
			ann.line(fmt.Sprint("[steady] ann: ", i))
		}
		s[1].kept(t, "steady", count)
		if n := ann.count("^!"); n != 0 {
			t.Errorf("ann is told of trouble: %q", ann.out.lines())
		}
	})
}

// TestStoresComeLater: chats that are older than the stores have a history from then on, and messages wait for those who
// were there before.
func TestStoresComeLater(t *testing.T) {
	start := starter(t)
	s := chatSites(t, start)
	ann, bob := join(t, s[0], "ann"), join(t, s[1], "bob")
	ann.line("* bob joined lobby")
	bob.say("/history")
	bob.line("! no history: this mesh has no store node that keeps the messages of its rooms")
	for i := range 3 {
		start(storeName(i))
	}
	meshtest.Eventually(t, "it is kept that bob was here", func() bool {
		page, err := s[0].history.Last(t.Context(), "seen/bob", 1)
		return err == nil && len(page) == 1
	})
	bob.say("/quit")
	ann.line("* bob left lobby")
	meshtest.Eventually(t, "a message waits for bob", func() bool {
		ann.say("/msg bob hello")
		return ann.match(`^(! no such user: bob|\(dm to bob\) hello)$`)[0] == '('
	})
	bob = join(t, s[1], "bob")
	bob.line("(dm) ann: hello")
}

// TestNoStores: a chat that would keep a history, in a mesh that cannot, is as one that would not, and says so when it
// is asked.
func TestNoStores(t *testing.T) {
	s := sites(t, meshtest.New(t, 2))
	for _, site := range s {
		site.history = openHistory(t, site.node)
	}
	ann, bob := join(t, s[0], "ann"), join(t, s[1], "bob")
	ann.line("* bob joined lobby")
	ann.say("hello")
	bob.line("[lobby] ann: hello")
	bob.say("/history")
	bob.line("! no history: this mesh has no store node that keeps the messages of its rooms")
	bob.say("/history 5")
	bob.line("! no history")
	bob.say("/msg cid hello")
	bob.line("! no such user: cid")
	if got := bob.out.lines()[2]; got != "[lobby] ann: hello" {
		t.Errorf("behind the roster bob sees %q", got)
	}
}
