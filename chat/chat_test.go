package chat_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/process"
)

func TestChat(t *testing.T) {
	t.Run("CHAT-01_each_message_once_in_order", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 3))
		people := []*person{join(t, s[0], "ann"), join(t, s[1], "bob"), join(t, s[2], "cid"), join(t, s[0], "dan")}
		for _, p := range people[:3] {
			p.answers("/who", "* lobby: ann, bob, cid, dan")
		}
		const count = 200
		for i := range count { // CHAT-02: several senders at a time
			for _, p := range people {
				p.say(fmt.Sprint(i))
			}
		}
		for _, reader := range people {
			for _, writer := range people {
				reader.cursor = 0
				for i := range count {
					reader.line(fmt.Sprintf("[lobby] %s: %d", writer.nick, i))
				}
			}
			if n := reader.count(`^\[lobby\] `); n != count*len(people) {
				t.Errorf("%s sees %d messages, want %d", reader.nick, n, count*len(people))
			}
		}
	})

	t.Run("CHAT-03_leave", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 2))
		ann, bob := join(t, s[0], "ann"), join(t, s[1], "bob")
		ann.line("* bob joined lobby")
		bob.say("/leave")
		bob.line("* bob left lobby")
		ann.line("* bob left lobby")
		ann.say("gone?")
		ann.line("[lobby] ann: gone?")
		bob.say("/all I am still here")
		bob.line("(all) bob: I am still here")
		ann.line("(all) bob: I am still here")
		if n := bob.count("gone"); n != 0 {
			t.Error("bob sees a message of a room that he had left")
		}
	})

	t.Run("CHAT-04_process_dies", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 3))
		ann, cid := join(t, s[0], "ann"), join(t, s[2], "cid")
		ann.line("* cid joined lobby")
		bob := join(t, s[1], "bob")
		ann.line("* bob joined lobby")
		cid.line("* bob joined lobby")
		bob.leave()
		if err := bob.end(); err != nil {
			t.Errorf("the end of the context: %v", err)
		}
		for _, p := range []*person{ann, cid} {
			p.line("* bob left lobby")
		}
	})

	t.Run("CHAT-04_node_dies", func(t *testing.T) {
		m := meshtest.New(t, 3)
		s := sites(t, m)
		ann, bob, cid := join(t, s[0], "ann"), join(t, s[1], "bob"), join(t, s[2], "cid")
		for _, p := range []*person{ann, bob} {
			p.line("* cid joined lobby")
		}
		m.Kill(3)
		for _, p := range []*person{ann, bob} {
			p.match(`^\* node down n3@127.0.0.1 \((connection_closed|shutdown)\)$`)
			p.match(`^\* cid left lobby`)
		}
		if err := cid.end(); err == nil {
			t.Error("the chat on a dead node ended without an error")
		}
		ann.say("on we go")
		bob.line("[lobby] ann: on we go")
		if n := ann.count("cid left"); n != 1 {
			t.Errorf("cid left %d times", n)
		}
	})

	t.Run("CHAT-06_partition_and_heal", func(t *testing.T) {
		m := meshtest.New(t, 3)
		s := sites(t, m)
		ann, bob, cid := join(t, s[0], "ann"), join(t, s[1], "bob"), join(t, s[2], "cid")
		for _, p := range []*person{ann, bob} {
			p.line("* cid joined lobby")
		}
		m.Partition(3)
		for _, p := range []*person{ann, bob} {
			p.line("* cid left lobby (node down)")
		}
		cid.match(`^\* (ann|bob) left lobby \(node down\)$`)
		cid.match(`^\* (ann|bob) left lobby \(node down\)$`)
		ann.say("on this side")
		bob.line("[lobby] ann: on this side")
		cid.say("on that side")
		cid.line("[lobby] cid: on that side")
		m.MendAll()
		for _, p := range []*person{ann, bob} {
			p.line("* cid joined lobby")
		}
		cid.match(`^\* (ann|bob) joined lobby$`)
		cid.match(`^\* (ann|bob) joined lobby$`)
		cid.say("together")
		for _, p := range []*person{ann, bob, cid} {
			p.line("[lobby] cid: together")
			p.answers("/who", "* lobby: ann, bob, cid")
		}
		if ann.count("that side") != 0 || bob.count("that side") != 0 || cid.count("this side") != 0 {
			t.Error("what was said in one half came to the other")
		}
	})

	t.Run("CHAT-06_partition_in_mid_conversation", func(t *testing.T) {
		m := meshtest.New(t, 3)
		s := sites(t, m)
		people := []*person{join(t, s[0], "ann"), join(t, s[1], "bob"), join(t, s[2], "cid")}
		for _, p := range people {
			p.answers("/who", "* lobby: ann, bob, cid")
		}
		const count = 900
		said := func(from, to int) {
			for i := from; i < to; i++ {
				for _, p := range people {
					p.say(fmt.Sprint(i))
				}
			}
		}
		said(0, count/3)
		m.Partition(3)
		said(count/3, count/2) // not everybody has noticed yet
		for _, p := range people {
			p.match(`left lobby \(node down\)$`)
		}
		said(count/2, count*2/3)
		for _, p := range people {
			p.line(fmt.Sprintf("[lobby] %s: %d", p.nick, count*2/3-1))
		}
		m.MendAll()
		for _, p := range people {
			p.answers("/who", "* lobby: ann, bob, cid")
		}
		said(count*2/3, count)
		for _, reader := range people {
			for _, writer := range people {
				reader.cursor = 0
				reader.line(fmt.Sprintf("[lobby] %s: %d", writer.nick, count-1))
				got := reader.numbers(writer.nick)
				if !slices.IsSorted(got) || len(slices.Compact(got)) != len(got) {
					t.Errorf("%s sees %s say %v", reader.nick, writer.nick, got)
				}
				together := (writer.nick == "cid") == (reader.nick == "cid")
				if together && len(got) != count || len(got) > 0 && (got[0] != 0 || got[len(got)-1] != count-1) {
					t.Errorf("%s sees %d of %d messages of %s", reader.nick, len(got), count, writer.nick)
				}
				if !together && slices.ContainsFunc(got, func(n int) bool { return n >= count/2 && n < count*2/3 }) {
					t.Errorf("what %s said on the other side came to %s", writer.nick, reader.nick)
				}
			}
		}
	})

	t.Run("CHAT-07_same_nick_in_two_halves", func(t *testing.T) {
		m := meshtest.New(t, 3)
		s := sites(t, m)
		witness := join(t, s[2], "eve")
		m.Cut(1, 2)
		m.Cut(1, 3)
		meshtest.Eventually(t, "partition", func() bool { return !m.Connected(1, 2) && !m.Connected(1, 3) })
		first := join(t, s[0], "ann")
		time.Sleep(2 * time.Millisecond) // nobody is first within one millisecond
		second := join(t, s[1], "ann")
		witness.line("* ann joined lobby")
		m.MendAll()
		second.match(`^! the nick ann belongs to a user on n1@127.0.0.1: you are now ann2$`)
		first.line("* ann2 joined lobby")
		witness.line("* ann joined lobby")
		for _, p := range []*person{first, second, witness} {
			p.answers("/users", "* users: ann, ann2, eve")
		}
		first.say("me")
		second.say("me too")
		for _, p := range []*person{first, second, witness} {
			p.cursor = 0
			p.line("[lobby] ann: me")
			p.cursor = 0
			p.line("[lobby] ann2: me too")
		}
		first.say("/msg ann2 hello")
		second.line("(dm) ann: hello")
	})

	t.Run("CHAT-08_full_roster_at_once", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 3))
		var nicks []string
		for i := range 30 {
			nicks = append(nicks, fmt.Sprintf("u%02d", i))
			join(t, s[i%3], nicks[i])
		}
		late := enter(t, s[1], "zoe")
		late.line("* connected as zoe on n2@127.0.0.1")
		late.line("* lobby: " + strings.Join(append(nicks, "zoe"), ", "))
	})

	t.Run("CHAT-09_slow_member", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 2))
		ann := join(t, s[0], "ann")
		blocked := make(chan struct{})
		enter(t, s[1], "slow", func(c *chat.Config) { c.Out = slowWriter(blocked) })
		ann.line("* slow joined lobby")
		bob := join(t, s[1], "bob")
		const count = 2000
		for i := range count {
			ann.say(fmt.Sprint(i))
		}
		for i := range count {
			bob.line(fmt.Sprintf("[lobby] ann: %d", i))
		}
		close(blocked)
	})

	t.Run("nick_taken", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 2))
		join(t, s[0], "ann")
		join(t, s[0], "ann2")
		for _, site := range s {
			err := enter(t, site, "ann").end()
			var taken *chat.NickTakenError
			if !errors.Is(err, chat.ErrNickTaken) || !errors.As(err, &taken) || taken.Suggestion != "ann3" {
				t.Errorf("%v", err)
			}
		}
	})

	t.Run("nick_is_a_global_name", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 2))
		for i := range 5 { // as soon as the departure shows, the nick is free, on any node
			here, there := s[i%2], s[1-i%2]
			witness := join(t, there, "eve")
			ann := join(t, here, "ann")
			witness.line("* ann joined lobby")
			if pid, ok := there.names.Whereis("chat/ann"); !ok || pid.Node != here.node.Name() {
				t.Fatalf("chat/ann is %v, %v", pid, ok)
			}
			ann.say("/quit")
			witness.line("* ann left lobby")
			if pid, ok := there.names.Whereis("chat/ann"); ok {
				t.Fatalf("chat/ann is still %v", pid)
			}
			witness.say("/quit")
			for _, p := range []*person{ann, witness} {
				if err := p.end(); err != nil {
					t.Error(err)
				}
			}
		}
	})

	t.Run("changes_come_too_fast", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 2))
		log := &screen{change: make(chan struct{})}
		ann := join(t, s[0], "ann", chat.Queue(1), func(c *chat.Config) { c.Log = zerolog.New(log) })
		bob := join(t, s[1], "bob")
		ann.line("* bob joined lobby")
		scope, err := s[0].groups.Scope(chat.Scope)
		if err != nil {
			t.Fatal(err)
		}
		someone := s[0].runtime.Spawn(func(p *process.Process) error { <-p.Context().Done(); return nil })
		for i := range 2000 {
			name := fmt.Sprint("r", i)
			if err := errors.Join(scope.Join(name, someone), scope.Join("busy", someone)); err != nil {
				t.Fatal(err)
			}
			if i > 0 {
				if err := scope.Leave(name, someone); err != nil {
					t.Fatal(err)
				}
			}
		}
		bob.say("/quit")
		ann.line("* bob left lobby")
		ann.answers("/rooms", "* rooms: busy (1), lobby (1), r0 (1)")
		ann.answers("/users", "* users: ann")
		if !strings.Contains(strings.Join(log.lines(), ""), "came too fast") {
			t.Error("the changes did not come too fast")
		}
	})

	t.Run("nick_claimed_at_once", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 3))
		for round := range 10 {
			var people []*person
			nick := fmt.Sprint("ann", round, "x")
			for i := range 6 {
				people = append(people, enter(t, s[i%3], nick))
			}
			in := 0
			for _, p := range people {
				if p.isIn() {
					in++
				} else if err := p.end(); !errors.Is(err, chat.ErrNickTaken) {
					t.Errorf("%v", err)
				}
			}
			if in != 1 {
				t.Errorf("%d of 6 got the nick", in)
			}
		}
	})

	t.Run("direct_message_to_a_frozen_node", func(t *testing.T) {
		m := meshtest.New(t, 2)
		s := sites(t, m)
		ann, bob := join(t, s[0], "ann"), join(t, s[1], "bob")
		ann.line("* bob joined lobby")
		m.Cut(1, 2)
		ann.say("/msg bob are you there?")
		ann.line("(dm to bob) are you there?")
		ann.match(`^! your message did not reach bob: `)
		m.Mend(1, 2)
		ann.line("* bob joined lobby")
		ann.say("/msg bob and now?")
		bob.line("(dm) ann: and now?")
	})

	t.Run("bad_config", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 1))
		for _, nick := range []string{"", "a b", "[x]", "/x", "a\n", strings.Repeat("x", 33)} {
			if err := enter(t, s[0], nick).end(); !errors.Is(err, chat.ErrBadName) {
				t.Errorf("nick %q: %v", nick, err)
			}
		}
		if err := enter(t, s[0], "ok", func(c *chat.Config) { c.Room = "a b" }).end(); !errors.Is(err, chat.ErrBadName) {
			t.Errorf("room: %v", err)
		}
	})

	t.Run("output_ends", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 2))
		ann := join(t, s[0], "ann")
		bob := enter(t, s[1], "bob", func(c *chat.Config) { c.Out = &brokenWriter{left: 2} })
		ann.line("* bob joined lobby")
		ann.say("hello")
		if err := bob.end(); !errors.Is(err, chat.ErrOutput) {
			t.Errorf("bob's chat ended with %v", err)
		}
		ann.line("* bob left lobby")
	})

	t.Run("input_as_a_script", func(t *testing.T) {
		s := sites(t, meshtest.New(t, 2))
		bob := join(t, s[1], "bob")
		var script bytes.Buffer
		var want []string
		for i := range 1000 {
			fmt.Fprintf(&script, "%d\r\n", i)
			want = append(want, fmt.Sprintf("[lobby] ann: %d", i))
		}
		script.WriteString("/msg bob bye\nno newline")
		want = append(want, "(dm to bob) bye", "[lobby] ann: no newline")
		var out bytes.Buffer
		p := enter(t, s[0], "ann", func(c *chat.Config) { c.In, c.Out = &script, &out })
		if err := p.end(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(strings.TrimSpace(out.String()), "\n")[2:]; !slices.Equal(got, want) {
			t.Errorf("ann sees %q", got)
		}
		for _, l := range want[:1000] {
			bob.line(l)
		}
		bob.cursor = 0
		bob.line("(dm) ann: bye")
		bob.line("[lobby] ann: no newline")
		bob.line("* ann left lobby")
	})
}

// slowWriter takes nothing more after the roster until the channel is closed.
func slowWriter(blocked chan struct{}) io.Writer {
	n := 0
	return writerFunc(func(p []byte) (int, error) {
		if n++; n > 2 {
			<-blocked
		}
		return len(p), nil
	})
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// brokenWriter fails after some writes.
type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}
