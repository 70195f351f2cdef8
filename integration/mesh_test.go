package integration

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mesh is a data folder and the processes that a test starts in it.
type mesh struct {
	t     *testing.T
	dir   string
	start time.Time
	procs []*proc
	// program is what is run; empty means kith.
	program string
}

// newMesh makes an empty data folder. At the end of the test it kills what is left, and prints what everybody wrote if
// the test failed.
func newMesh(t *testing.T) *mesh {
	t.Helper()
	m := &mesh{t: t, dir: t.TempDir(), start: time.Now()}
	t.Cleanup(m.end)
	return m
}

func (m *mesh) end() {
	for _, p := range m.procs {
		if p.running() {
			_ = p.cmd.Process.Signal(syscall.SIGCONT)
			_ = p.cmd.Process.Kill()
		}
		<-p.done
	}
	if m.t.Failed() {
		var b strings.Builder
		for _, p := range m.procs {
			p.out.print(&b, p.name+" |", m.start)
			p.err.print(&b, p.name+" E", m.start)
		}
		m.t.Logf("what the processes wrote:\n%s", b.String())
	}
}

// env is the environment of a process of this mesh: nothing of the tester's own configuration gets in.
func (m *mesh) env() []string {
	env := []string{"KITH_DATA_DIR=" + m.dir, "HOME=" + m.dir, "USER=tester", "GORACE=halt_on_error=1"}
	for _, name := range []string{"PATH", "TMPDIR"} {
		env = append(env, name+"="+os.Getenv(name))
	}
	return env
}

// proc is a kith process. Its words wait until what they say is so, or fail the test.
type proc struct {
	m      *mesh
	name   string
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	out    *transcript
	err    *transcript
	done   chan struct{}
	state  *os.ProcessState // valid when done is closed
	cursor int              // behind the last line that was expected
}

// run starts a process without waiting for anything.
func (m *mesh) run(name string, args ...string) *proc {
	m.t.Helper()
	return m.runBy((*exec.Cmd).Start, name, args...)
}

// runBy is run with a way to start the process.
func (m *mesh) runBy(start func(*exec.Cmd) error, name string, args ...string) *proc {
	m.t.Helper()
	p := &proc{m: m, name: name, out: newTranscript(), err: newTranscript(), done: make(chan struct{})}
	p.cmd = exec.Command(cmp.Or(m.program, kith), args...)
	p.cmd.Env, p.cmd.Dir = m.env(), m.dir
	stdin, err1 := p.cmd.StdinPipe()
	stdout, err2 := p.cmd.StdoutPipe()
	stderr, err3 := p.cmd.StderrPipe()
	if err := errors.Join(err1, err2, err3, start(p.cmd)); err != nil {
		m.t.Fatalf("start %s: %v", name, err)
	}
	p.stdin = stdin
	m.procs = append(m.procs, p)
	go func() {
		defer close(p.done)
		errRead := make(chan struct{})
		go func() { defer close(errRead); p.err.read(stderr) }()
		p.out.read(stdout)
		<-errRead
		_ = p.cmd.Wait()
		p.state = p.cmd.ProcessState
	}()
	return p
}

// node starts kith node and waits until it is ready.
func (m *mesh) node(name string, args ...string) *proc {
	m.t.Helper()
	p := m.run(name, append([]string{"node", "--name", name}, args...)...)
	p.match(`^ready ` + name + `@127\.0\.0\.1 127\.0\.0\.1:\d+$`)
	return p
}

// chat starts kith chat and waits until it is connected and has shown who is there.
func (m *mesh) chat(nick string, args ...string) *proc {
	m.t.Helper()
	p := m.run(nick, append([]string{"chat", "--nick", nick}, args...)...)
	p.match(`^\* connected as ` + nick + ` on ` + nick + `@127\.0\.0\.1$`)
	p.match(`^\* \S+: `)
	return p
}

// meet waits until everybody in the lobby sees everybody. On a busy machine some connect only after they are in.
func (m *mesh) meet(all ...*proc) {
	m.t.Helper()
	var nicks []string
	for _, p := range all {
		nicks = append(nicks, p.name)
	}
	slices.Sort(nicks)
	want := "* lobby: " + strings.Join(nicks, ", ")
	for _, p := range all {
		m.until(p.name+" sees all", func() bool {
			p.say("/who")
			return p.match(`^\* lobby: `) == want
		})
	}
}

// line waits for a line of output, behind those expected before, and returns when it came.
func (p *proc) line(want string) time.Time {
	p.m.t.Helper()
	return p.expect(want, func(s string) bool { return s == want }, patience)
}

// lines waits for several lines, in this order, with others between them or not.
func (p *proc) lines(want ...string) {
	p.m.t.Helper()
	for _, w := range want {
		p.line(w)
	}
}

// anyOrder waits for several lines in any order, and goes on behind the last of them.
func (p *proc) anyOrder(want ...string) {
	p.m.t.Helper()
	from, last := p.cursor, p.cursor
	for _, w := range want {
		p.cursor = from
		p.line(w)
		last = max(last, p.cursor)
	}
	p.cursor = last
}

// match is line with a regular expression; it returns the line.
func (p *proc) match(pattern string) string {
	p.m.t.Helper()
	re := regexp.MustCompile(pattern)
	var found string
	p.expect("~"+pattern, func(s string) bool { found = s; return re.MatchString(s) }, patience)
	return found
}

// within is line with a bound on the time, for what must not take longer.
func (p *proc) within(want string, d time.Duration) time.Time {
	p.m.t.Helper()
	return p.expect(want, func(s string) bool { return s == want }, d)
}

func (p *proc) expect(want string, fits func(string) bool, d time.Duration) time.Time {
	p.m.t.Helper()
	at, e, ok := p.out.find(p.cursor, fits, time.Now().Add(d))
	if !ok {
		p.m.t.Fatalf("%s did not write %q within %v; it wrote since then: %q", p.name, want, d, p.out.all()[p.cursor:])
	}
	p.cursor = at + 1
	return e.at
}

// stderrMatch waits for a line on stderr, and returns it.
func (p *proc) stderrMatch(pattern string) string {
	p.m.t.Helper()
	re := regexp.MustCompile(pattern)
	at, _, ok := p.err.find(0, re.MatchString, time.Now().Add(patience))
	if !ok {
		p.m.t.Fatalf("%s did not write a line like %q to stderr: %q", p.name, pattern, p.err.all())
	}
	return p.err.all()[at]
}

// never checks that the process has not written a line like this so far. Use it behind something that proves that the
// line would have come.
func (p *proc) never(pattern string) {
	p.m.t.Helper()
	re := regexp.MustCompile(pattern)
	for _, l := range p.out.all() {
		if re.MatchString(l) {
			p.m.t.Fatalf("%s wrote %q", p.name, l)
		}
	}
}

// count is how many lines like this the process has written.
func (p *proc) count(pattern string) (n int) {
	re := regexp.MustCompile(pattern)
	for _, l := range p.out.all() {
		if re.MatchString(l) {
			n++
		}
	}
	return n
}

// say types a line.
func (p *proc) say(line string) {
	p.m.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.m.t.Fatalf("type into %s: %v", p.name, err)
	}
}

// eof ends the input.
func (p *proc) eof() { _ = p.stdin.Close() }

// kill ends the process without giving it a chance.
func (p *proc) kill() { p.signal(syscall.SIGKILL) }

// freeze stops the process, and waits until it has stopped; thaw lets it go on.
func (p *proc) freeze() {
	p.m.t.Helper()
	p.signal(syscall.SIGSTOP)
	stat := filepath.Join("/proc", itoa(p.cmd.Process.Pid), "stat")
	for deadline := time.Now().Add(patience); ; {
		b, err := os.ReadFile(stat)
		if err != nil || bytes.Contains(b, []byte(") T ")) {
			return // no /proc on this system: the signal must do
		}
		if time.Now().After(deadline) {
			p.m.t.Fatalf("%s did not stop: %s", p.name, b)
		}
	}
}

func (p *proc) thaw() { p.signal(syscall.SIGCONT) }

func (p *proc) signal(s os.Signal) {
	p.m.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.m.t.Fatalf("signal %v to %s: %v", s, p.name, err)
	}
}

func (p *proc) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// exit waits for the process to end with this status.
func (p *proc) exit(code int) {
	p.m.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.m.t.Fatalf("%s did not end", p.name)
	}
	if got := p.state.ExitCode(); got != code {
		p.m.t.Fatalf("%s ended with %d (%v), want %d", p.name, got, p.state, code)
	}
}

// result is what a command that ends printed.
type result struct {
	out, err string
	code     int
}

// kith runs a command to its end.
func (m *mesh) kith(args ...string) result {
	m.t.Helper()
	return m.kithIn("", nil, args...)
}

// kithIn runs a command to its end, with input and with more environment.
func (m *mesh) kithIn(stdin string, env []string, args ...string) result {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, kith, args...)
	cmd.Env, cmd.Dir = append(m.env(), env...), m.dir
	cmd.Stdin = strings.NewReader(stdin)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		m.t.Fatalf("kith %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errOut.String())
	}
	return result{out.String(), errOut.String(), cmd.ProcessState.ExitCode()}
}

// ok runs a command that must succeed and returns its output.
func (m *mesh) ok(args ...string) string {
	m.t.Helper()
	r := m.kith(args...)
	if r.code != 0 {
		m.t.Fatalf("kith %s: status %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// until asks again and again, a few times a second, until the answer is yes. It is for what no line announces.
func (m *mesh) until(what string, holds func() bool) {
	m.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-again.C {
		if time.Now().After(deadline) {
			m.t.Fatalf("never came to be so: %s", what)
		}
	}
}
