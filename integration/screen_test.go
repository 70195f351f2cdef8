package integration

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the screens that the tests see into testdata")

// terminal is a kith chat in a tmux session of its own: keys go in, the screen comes out.
type terminal struct {
	m    *mesh
	name string
}

// terminal starts kith chat in a terminal of this size. The server of tmux belongs to the test and ends with it.
func (m *mesh) terminal(nick string, width, height int, args ...string) *terminal {
	m.t.Helper()
	noColor := ""
	if len(args) > 0 && args[0] == "NO_COLOR" {
		noColor, args = "1", args[1:]
	}
	if _, err := exec.LookPath("tmux"); err != nil {
		m.t.Skip("tmux is not installed")
	}
	tm := &terminal{m: m, name: nick}
	command := append([]string{kith, "chat", "--nick", nick}, args...)
	for i, a := range command {
		command[i] = "'" + a + "'"
	}
	tm.tmux("new-session", "-d", "-s", nick, "-x", itoa(width), "-y", itoa(height), "-e", "NO_COLOR="+noColor,
		strings.Join(command, " ")+" 2>"+tm.file("stderr")+"; echo $? >"+tm.file("status")+"; exec sleep 600")
	m.t.Cleanup(func() {
		if m.t.Failed() {
			m.t.Logf("the screen of %s:\n%s\nstderr: %s", nick, tm.screen(), tm.read("stderr"))
		}
		_ = tm.command("kill-session", "-t", nick).Run()
	})
	return tm
}

func (tm *terminal) command(args ...string) *exec.Cmd {
	cmd := exec.Command("tmux", append([]string{"-S", filepath.Join(tm.m.dir, "tmux"), "-f", "/dev/null"}, args...)...)
	cmd.Env = append(tm.m.env(), "TERM=screen-256color", "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	cmd.Dir = tm.m.dir
	return cmd
}

func (tm *terminal) tmux(args ...string) string {
	tm.m.t.Helper()
	out, err := tm.command(args...).CombinedOutput()
	if err != nil {
		tm.m.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// keys presses keys, by the names that tmux has for them.
func (tm *terminal) keys(keys ...string) {
	tm.m.t.Helper()
	tm.tmux(append([]string{"send-keys", "-t", tm.name}, keys...)...)
}

// write types a text and Enter.
func (tm *terminal) write(text string) {
	tm.m.t.Helper()
	tm.tmux("send-keys", "-t", tm.name, "-l", text)
	tm.keys("Enter")
}

// paste pastes a text, as a terminal does.
func (tm *terminal) paste(text string) {
	tm.m.t.Helper()
	tm.tmux("set-buffer", text)
	tm.tmux("paste-buffer", "-p", "-t", tm.name)
}

// screen is what is visible.
func (tm *terminal) screen() string {
	out, _ := tm.command("capture-pane", "-p", "-t", tm.name).Output()
	return string(out)
}

// sees waits until something is on the screen.
func (tm *terminal) sees(pattern string) {
	tm.m.t.Helper()
	re := regexp.MustCompile(pattern)
	tm.m.until(tm.name+" sees "+pattern, func() bool { return re.MatchString(tm.screen()) })
}

// golden compares the screen with the one that is kept, but for times.
func (tm *terminal) golden(name string) {
	tm.m.t.Helper()
	path := filepath.Join("testdata", name+".txt")
	got := func() string {
		s := regexp.MustCompile(`\d\d:\d\d `).ReplaceAllString(tm.screen(), "00:00 ")
		return regexp.MustCompile(`(● \S+) [0-9.]+ [µm]s`).ReplaceAllString(s, "$1 0 µs")
	}
	if *update {
		last := ""
		tm.m.until("the screen stands still", func() bool {
			time.Sleep(500 * time.Millisecond)
			before := last
			last = got()
			return last == before
		})
		if err := os.WriteFile(path, []byte(last), 0o644); err != nil {
			tm.m.t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		tm.m.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); got() != string(want); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			tm.m.t.Fatalf("the screen of %s is\n%s\nwant\n%s", tm.name, got(), want)
		}
	}
}

// gone waits until the program in the terminal has ended with this status.
func (tm *terminal) gone(status int) {
	tm.m.t.Helper()
	tm.m.until(tm.name+" has ended", func() bool { return tm.read("status") != "" })
	if got := strings.TrimSpace(tm.read("status")); got != itoa(status) {
		tm.m.t.Fatalf("%s ended with %s, want %d", tm.name, got, status)
	}
}

// file is where stderr and the exit status of the program go, and read what is there.
func (tm *terminal) file(what string) string { return filepath.Join(tm.m.dir, tm.name+"."+what) }

func (tm *terminal) read(what string) string {
	text, _ := os.ReadFile(tm.file(what))
	return string(text)
}

func TestScreen(t *testing.T) {
	t.Run("conversation", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		bob := m.chat("bob")
		alice := m.terminal("alice", 100, 20)
		bob.line("* alice joined lobby")
		alice.golden("start")
		bob.say("hello alice")
		alice.sees(`bob: hello alice`)
		alice.write("hello, this is from a terminal")
		bob.line("[lobby] alice: hello, this is from a terminal")
		bob.say(`evil \x1b[2J` + " \x1b[2J\x07 and 漢字 👩‍👩‍👧 é")
		alice.sees(`evil`)
		bob.say("/msg alice just for you")
		alice.sees(`@bob +1│`)
		bob.say("/join dev")
		bob.line("* dev: bob")
		alice.sees(`other rooms`)
		alice.golden("conversation")

		// What is completed and pasted is not sent before Enter.
		alice.tmux("send-keys", "-t", "alice", "-l", "bo")
		alice.keys("Tab")
		alice.sees(`(?m)^> bob:$`)
		alice.paste("one\ntwo\n\nthree")
		alice.golden("paste")
		alice.keys("C-c")

		alice.keys("C-n")
		alice.sees(`bob: just for you`)
		alice.write("thank you")
		bob.line("(dm) alice: thank you")
		alice.keys("C-p")
		alice.tmux("send-keys", "-t", "alice", "-l", "/join de")
		alice.keys("Tab", "Enter")
		bob.line("* alice joined dev")
		alice.sees(`dev  2 here`)
		alice.keys("F1")
		alice.sees(`Alt\+Enter`)
		alice.keys("Escape")

		// Many lines: scroll back and search.
		for i := range 300 {
			bob.say("line " + itoa(i))
		}
		alice.sees(`line 299`)
		alice.keys("C-f")
		alice.tmux("send-keys", "-t", "alice", "-l", "line 150")
		alice.golden("search")
		alice.keys("Escape")
		alice.sees(`scrolled back`)
		alice.keys("C-End")
		alice.sees(`line 299`)

		// Another size, and bob dies while alice writes to him.
		alice.tmux("resize-window", "-t", "alice", "-x", "40", "-y", "12")
		alice.golden("narrow")
		alice.tmux("send-keys", "-t", "alice", "-l", "half a sentence")
		bob.kill()
		alice.sees(`\* bob left dev`)
		alice.tmux("resize-window", "-t", "alice", "-x", "100", "-y", "20")
		alice.golden("killed")
		alice.keys("Enter")
		alice.sees(`alice: half a sentence`)
		alice.write("/quit")
		alice.gone(0)
		if stderr := alice.read("stderr"); stderr != "" {
			t.Errorf("stderr: %s", stderr)
		}
	})

	t.Run("pasted_lines", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		bob := m.chat("bob")
		alice := m.terminal("alice", 80, 24)
		alice.sees(`lobby: alice, bob|bob joined`)
		alice.paste("one\ntwo\n\nthree")
		alice.sees(`three`)
		alice.keys("Enter")
		bob.lines("[lobby] alice: one", "[lobby] alice: two", "[lobby] alice: three")
	})

	t.Run("no_colour", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		colours := regexp.MustCompile(`\x1b\[[0-9;]*\b[34][0-8]\b`)
		styled := func(tm *terminal) string { return tm.tmux("capture-pane", "-e", "-p", "-t", tm.name) }
		alice := m.terminal("alice", 80, 16)
		alice.sees(`1 here`)
		if s := styled(alice); !colours.MatchString(s) {
			t.Errorf("no colours: %q", s)
		}
		bob := m.terminal("bob", 80, 16, "NO_COLOR")
		bob.sees(`2 here`)
		alice.write("bob: hello")
		bob.sees(`alice: bob: hello`)
		if s := styled(bob); colours.MatchString(s) || !strings.Contains(s, "\x1b[") {
			t.Errorf("with NO_COLOR: %q", s)
		}
	})

	t.Run("nick_taken", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		m.chat("alice")
		alice := m.terminal("alice", 80, 24, "--name", "other")
		alice.gone(1)
		if s := alice.read("stderr"); !strings.HasPrefix(s, "error: nick is taken") || !strings.Contains(s, "--nick alice2") {
			t.Errorf("stderr: %s", s)
		}
	})

	t.Run("frozen_friend", func(t *testing.T) {
		t.Parallel()
		m := newMesh(t)
		bob := m.chat("bob")
		carol := m.chat("carol")
		alice := m.terminal("alice", 90, 16)
		alice.sees(`3 here`)
		bob.line("* alice joined lobby")
		m.until("bob sees all", func() bool {
			bob.say("/who")
			return bob.match(`^\* lobby: `) == "* lobby: alice, bob, carol"
		})
		carol.freeze()
		bob.say("carol is frozen, we are not")
		alice.sees(`carol is frozen, we are not`)
		alice.sees(`carol left lobby \(node down\)`)
		alice.sees(`○ carol`)
		carol.thaw()
		alice.sees(`carol joined lobby`)
		alice.sees(`● carol`)
	})
}
