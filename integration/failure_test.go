package integration

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestFrozen runs alone, not beside other tests: it measures time.
func TestFrozen(t *testing.T) {
	const tick = 500 * time.Millisecond
	m := newMesh(t)
	args := []string{"--tick", tick.String()}
	alice, bob, carol := m.chat("alice", args...), m.chat("bob", args...), m.chat("carol", args...)
	m.meet(alice, bob, carol)
	carol.freeze()
	frozen := time.Now()
	alice.say("while carol is frozen")
	for _, p := range []*proc{alice, bob} {
		p.within("[lobby] alice: while carol is frozen", 2*tick)
	}
	for _, p := range []*proc{alice, bob} {
		took := p.line("* node down carol@127.0.0.1 (net_tick_timeout)").Sub(frozen)
		// Her last sign of life may be a tick old, and is noticed missing at the end of a tick.
		if took < 3*tick || took > 5*tick {
			t.Errorf("%s noticed after %v, want 4 ticks of %v, plus or minus one", p.name, took, tick)
		}
		p.line("* carol left lobby (node down)")
	}
	carol.thaw()
	for _, p := range []*proc{alice, bob} {
		p.lines("* node up carol@127.0.0.1", "* carol joined lobby")
	}
	carol.line("* bob joined lobby")
	carol.say("back again")
	for _, p := range []*proc{alice, bob, carol} {
		p.line("[lobby] carol: back again")
		p.say("/who")
		p.line("* lobby: alice, bob, carol")
	}
}

// TestFrozenMember: a newcomer does not wait for a frozen member, and its nick is known all the same.
func TestFrozenMember(t *testing.T) {
	m := newMesh(t)
	alice, bob := m.chat("alice"), m.chat("bob")
	m.meet(alice, bob)
	bob.freeze()
	start := time.Now()
	carol := m.chat("carol")
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("carol was in after %v", took)
	}
	carol.say("hello")
	alice.lines("* carol joined lobby", "[lobby] carol: hello")
	alice.line("* node down bob@127.0.0.1 (net_tick_timeout)")
	bob.thaw()
	for _, p := range []*proc{alice, carol} {
		p.line("* bob joined lobby")
	}
}

func TestStart(t *testing.T) {
	t.Run("wrong_cookie", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		alice := m.chat("alice")
		mallory := m.run("mallory", "chat", "--nick", "mallory", "--cookie", "this is not the right cookie")
		mallory.stderrMatch(`(?i)cookie`)
		mallory.line("* connected as mallory on mallory@127.0.0.1")
		mallory.line("* lobby: mallory")
		alice.say("secret")
		alice.line("[lobby] alice: secret")
		bob := m.chat("bob")
		m.meet(alice, bob)
		bob.say("hello")
		alice.line("[lobby] bob: hello")
		mallory.say("let me in")
		mallory.line("[lobby] mallory: let me in")
		alice.never(`mallory`)
		mallory.never(`alice|bob|secret`)
	})

	t.Run("name_in_use", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		n := m.node("n1")
		r := m.kith("node", "--name", "n1")
		if r.code != 1 || r.out != "" || !strings.HasPrefix(lastLine(r.err), "error: ") || !strings.Contains(r.err, "n1@127.0.0.1") {
			t.Fatalf("status %d, out %q, err %q", r.code, r.out, r.err)
		}
		n.kill()
		<-n.done
		m.node("n1") // the lock of a dead process is nobody's
	})

	t.Run("ten_at_once", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		const count = 10
		var all []*proc
		for i := range count {
			nick := "u" + itoa(i)
			all = append(all, m.run(nick, "chat", "--nick", nick))
		}
		for _, p := range all {
			p.match(`^\* connected as `)
		}
		m.meet(all...)
		for i, p := range all {
			p.say("from " + itoa(i))
		}
		for _, p := range all {
			var want []string
			for i := range count {
				want = append(want, "[lobby] u"+itoa(i)+": from "+itoa(i))
			}
			p.anyOrder(want...)
		}
	})

	t.Run("cookie_file_is_private", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		m.node("n1")
		info, err := os.Stat(m.dir + "/cookie")
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() < 32 {
			t.Fatalf("cookie: %v %v", info, err)
		}
	})
}

// lastLine is the last line of a text.
func lastLine(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return lines[len(lines)-1]
}
