package integration

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

// TestChat_CHAT-01_three_talk: three chats see each other's joins and messages, and a fourth is in at once.
func TestChat(t *testing.T) {
	t.Run("CHAT-01_three_talk_and_a_fourth", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		alice := m.chat("alice")
		alice.never(`joined`)
		bob := m.chat("bob")
		alice.lines("* node up bob@127.0.0.1", "* bob joined lobby")
		carol := m.chat("carol")
		for _, p := range []*proc{alice, bob} {
			p.lines("* node up carol@127.0.0.1", "* carol joined lobby")
		}
		all := []*proc{alice, bob, carol}
		m.meet(alice, bob, carol)
		alice.say("hello all")
		bob.say("hi  alice")
		for _, p := range all {
			p.anyOrder("[lobby] alice: hello all", "[lobby] bob: hi  alice")
		}
		dave := m.chat("dave")
		if got := dave.out.all()[:2]; got[0] != "* connected as dave on dave@127.0.0.1" || got[1] != "* lobby: alice, bob, carol, dave" {
			t.Fatalf("dave begins with %q", got)
		}
		dave.say("am I in?")
		for _, p := range append(all, dave) {
			p.line("[lobby] dave: am I in?")
		}
		for _, p := range append(all, dave) {
			p.say("/who")
			p.line("* lobby: alice, bob, carol, dave")
		}
		dave.never(`hello all|joined`)
	})

	t.Run("CHAT-04_killed", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		alice, bob, carol := m.chat("alice"), m.chat("bob"), m.chat("carol")
		m.meet(alice, bob, carol)
		carol.kill()
		for _, p := range []*proc{alice, bob} {
			p.lines("* node down carol@127.0.0.1 (connection_closed)", "* carol left lobby (node down)")
		}
		alice.say("still here")
		for _, p := range []*proc{alice, bob} {
			p.line("[lobby] alice: still here")
			p.say("/who")
			p.line("* lobby: alice, bob")
			if n := p.count(`carol left`); n != 1 {
				t.Fatalf("%s saw carol leave %d times", p.name, n)
			}
		}
		// The same name and nick come back at once, as another incarnation.
		back := m.chat("carol")
		for _, p := range []*proc{alice, bob} {
			p.lines("* node up carol@127.0.0.1", "* carol joined lobby")
		}
		m.meet(alice, bob, back)
		back.say("back")
		alice.line("[lobby] carol: back")
	})

	t.Run("clean_quit", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		alice := m.chat("alice")
		for _, how := range []string{"quit", "eof", "int", "term"} {
			p := m.chat(how)
			alice.line("* " + how + " joined lobby")
			switch how {
			case "quit":
				p.say("/quit")
			case "eof":
				p.eof()
			case "int":
				p.signal(syscall.SIGINT)
			case "term":
				p.signal(syscall.SIGTERM)
			}
			p.exit(0)
			alice.lines("* "+how+" left lobby", "* node down "+how+"@127.0.0.1 (shutdown)")
			if errs := p.err.all(); len(errs) > 0 {
				t.Errorf("%s wrote to stderr: %q", how, errs)
			}
		}
	})

	t.Run("piped_input_loses_nothing", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		const count = 3000
		bob := m.chat("bob")
		var script strings.Builder
		var want []string
		for i := range count {
			line := fmt.Sprintf("line %d %s", i, strings.Repeat("x", i%200))
			want = append(want, line)
			script.WriteString(line + "\n")
		}
		alice := m.chat("alice")
		m.meet(alice, bob)
		if _, err := io.WriteString(alice.stdin, script.String()); err != nil {
			t.Fatal(err)
		}
		alice.eof()
		alice.exit(0)
		bob.lines("* alice left lobby", "* node down alice@127.0.0.1 (shutdown)")
		if stderr := alice.err.all(); len(stderr) > 0 {
			t.Errorf("alice writes to stderr: %q", stderr)
		}
		for who, lines := range map[string][]string{"alice": alice.out.all(), "bob": bob.out.all()} {
			var got []string
			for _, l := range lines {
				if s, ok := strings.CutPrefix(l, "[lobby] alice: "); ok {
					got = append(got, s)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s saw %d of %d lines", who, len(got), count)
			}
		}
	})

	t.Run("rooms_and_direct_messages", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		alice, bob := m.chat("alice"), m.chat("bob", "--room", "dev")
		bob.never(`lobby`)
		m.until("alice knows of dev", func() bool {
			alice.say("/who dev")
			return alice.match(`^\* dev: |^! `) == "* dev: bob"
		})
		alice.say("/join dev")
		alice.line("* dev: alice, bob")
		bob.line("* alice joined dev")
		alice.say("for dev")
		bob.line("[dev] alice: for dev")
		alice.line("[dev] alice: for dev")
		alice.say("/msg bob psst  now")
		alice.line("(dm to bob) psst  now")
		bob.line("(dm) alice: psst  now")
		bob.say("/all to all")
		for _, p := range []*proc{alice, bob} {
			p.line("(all) bob: to all")
		}
		alice.say("/leave")
		bob.line("* alice left dev")
		alice.line("* alice left dev")
		alice.say("/users")
		alice.line("* users: alice, bob")
		alice.say("/nodes")
		alice.line("* nodes: alice@127.0.0.1, bob@127.0.0.1")
		alice.say("/rooms")
		alice.line("* rooms: dev (1), lobby (1)")
		for _, bad := range []string{"/msg nobody hi", "/frobnicate", "/join [x]", "/history", "/leave dev", "/msg bob"} {
			alice.say(bad)
			alice.match(`^! .`)
		}
		alice.say("goes on")
		alice.line("[lobby] alice: goes on")
	})

	t.Run("bad_input", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		alice, bob := m.chat("alice"), m.chat("bob")
		m.meet(alice, bob)
		bob.say(strings.Repeat("x", 4097))
		bob.match(`^! message too long: 4097 bytes`)
		bob.say(strings.Repeat("y", 5<<20))
		bob.match(`^! message too long: 5242881? bytes`)
		bob.say(strings.Repeat("z", 4096))
		alice.line("[lobby] bob: " + strings.Repeat("z", 4096))
		bob.say("red \x1b[31m bell \x07 bad \xff nul \x00 tab \t.")
		alice.line(`[lobby] bob: red \x1b[31m bell \x07 bad \xff nul \x00 tab \t.`)
		bob.say("é 👩‍👩‍👧 漢字")
		alice.line("[lobby] bob: é 👩‍👩‍👧 漢字")
		alice.never(`xxx|yyy`)
	})

	t.Run("nick_taken", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		alice := m.chat("alice")
		m.meet(alice)
		r := m.kithIn("", nil, "chat", "--name", "other", "--nick", "alice")
		if r.code != 1 || r.out != "" || !strings.HasPrefix(r.err, "error: ") || !strings.Contains(r.err, "alice2") {
			t.Fatalf("status %d, out %q, err %q", r.code, r.out, r.err)
		}
		r = m.kithIn("", nil, "chat", "--nick", "alice")
		if r.code != 1 || r.out != "" || !strings.HasPrefix(r.err, "error: ") || !strings.Contains(r.err, "alice2") {
			t.Fatalf("with the same node name: status %d, out %q, err %q", r.code, r.out, r.err)
		}
		alice.say("mine")
		alice.line("[lobby] alice: mine")
		alice.never(`joined|left`)
	})

	t.Run("nick_taken_at_once", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		witness := m.chat("witness")
		var all []*proc
		for i := range 4 {
			all = append(all, m.run("n"+itoa(i), "chat", "--name", "n"+itoa(i), "--nick", "bob"))
		}
		// Those that were connected in time are refused. On a busy machine some may come to hear of each other only
		// afterwards: they are told, and renamed.
		keeps := 0
		for _, p := range all {
			_, first, in := p.out.find(0, func(string) bool { return true }, time.Now().Add(patience))
			if !in {
				p.exit(1)
				p.stderrMatch(`^error: .*--nick bob\d`)
				continue
			}
			if first.text != "* connected as bob on "+p.name+"@127.0.0.1" {
				t.Errorf("%s begins with %q", p.name, first.text)
			}
			keeps++
		}
		if keeps == 0 {
			t.Fatal("nobody got the nick")
		}
		m.until("one bob, the others renamed", func() bool {
			var renamed []string
			for _, p := range all {
				for _, l := range p.out.all() {
					if _, nick, ok := strings.Cut(l, "! the nick bob belongs to a user on "); ok {
						_, nick, _ = strings.Cut(nick, "you are now ")
						renamed = append(renamed, nick+", ")
					}
				}
			}
			slices.Sort(renamed)
			witness.say("/users")
			return len(renamed) == keeps-1 && witness.match(`^\* users: `) == "* users: bob, "+strings.Join(renamed, "")+"witness"
		})
	})
}
