package chat_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/history"
	"github.com/kith-mesh/kith/internal/leak"
	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, leak.Stores()...) }

const patience = 15 * time.Second

// site is a node with what a chat needs.
type site struct {
	node    *node.Node
	runtime *process.Runtime
	groups  *pg.Groups
	calls   *rpc.Server
	names   *global.Registry
	history *history.Log // nil for none
}

func newSite(t testing.TB, n *node.Node) *site {
	t.Helper()
	rt, err1 := process.New(n)
	if err1 != nil {
		t.Fatal(err1)
	}
	groups, err2 := pg.New(rt)
	if err2 != nil {
		t.Fatal(err2)
	}
	calls, err3 := rpc.New(n)
	if err3 != nil {
		t.Fatal(err3)
	}
	names, err4 := global.New(rt)
	if err4 != nil {
		t.Fatal(err4)
	}
	return &site{node: n, runtime: rt, groups: groups, calls: calls, names: names}
}

// sites makes every node of a mesh one.
func sites(t testing.TB, m *meshtest.Mesh) (out []*site) {
	t.Helper()
	for _, n := range m.Nodes() {
		out = append(out, newSite(t, n))
	}
	return out
}

// screen is an output whose lines can be waited for.
type screen struct {
	mu     sync.Mutex // guards the fields below
	text   []byte
	change chan struct{} // closed and replaced when text grows
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = append(s.text, p...)
	close(s.change)
	s.change = make(chan struct{})
	return len(p), nil
}

func (s *screen) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSuffix(string(s.text), "\n"), "\n")
}

// person is a user at a plain chat.
type person struct {
	t      testing.TB
	nick   string
	in     *io.PipeWriter
	out    *screen
	leave  context.CancelFunc
	ended  chan error
	cursor int
}

// enter starts a chat without waiting for it.
func enter(t testing.TB, s *site, nick string, change ...func(*chat.Config)) *person {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	p := &person{t: t, nick: nick, in: w, leave: cancel, ended: make(chan error, 1)}
	p.out = &screen{change: make(chan struct{})}
	cfg := chat.Config{
		Runtime: s.runtime, Groups: s.groups, Calls: s.calls, Names: s.names, History: s.history, In: r, Out: p.out, Nick: nick, Log: zerolog.Nop(),
	}
	for _, f := range change {
		f(&cfg)
	}
	go func() { p.ended <- chat.Run(ctx, cfg) }()
	t.Cleanup(func() {
		cancel()
		_ = w.Close()
		select {
		case <-p.ended:
		case <-time.After(patience):
			t.Errorf("the chat of %s did not end", nick)
		}
	})
	return p
}

// join starts a chat and waits until it is connected and has shown the roster.
func join(t testing.TB, s *site, nick string, change ...func(*chat.Config)) *person {
	t.Helper()
	p := enter(t, s, nick, change...)
	p.line("* connected as " + nick + " on " + s.node.Name())
	p.match(`^\* \S+: `)
	return p
}

// line waits for a line, behind those waited for before.
func (p *person) line(want string) {
	p.t.Helper()
	p.await(fmt.Sprintf("%q", want), func(s string) bool { return s == want })
}

// match is line with a regular expression; it returns the line.
func (p *person) match(pattern string) string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	return p.await(pattern, re.MatchString)
}

func (p *person) await(what string, fits func(string) bool) string {
	p.t.Helper()
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for {
		p.out.mu.Lock()
		change, whole := p.out.change, bytes.LastIndexByte(p.out.text, '\n')+1
		lines := strings.Split(string(p.out.text[:whole]), "\n")
		p.out.mu.Unlock()
		for i := p.cursor; i < len(lines)-1; i++ {
			if fits(lines[i]) {
				p.cursor = i + 1
				return lines[i]
			}
		}
		select {
		case <-change:
		case err := <-p.ended:
			p.ended <- err
			p.t.Fatalf("the chat of %s ended (%v) while %s was awaited; it shows\n%s", p.nick, err, what, strings.Join(p.out.lines(), "\n"))
		case <-timeout.C:
			p.t.Fatalf("%s does not see %s, but\n%s", p.nick, what, strings.Join(p.out.lines(), "\n"))
		}
	}
}

// isIn waits until the chat shows its first line or has ended.
func (p *person) isIn() bool {
	for {
		p.out.mu.Lock()
		change, text := p.out.change, len(p.out.text)
		p.out.mu.Unlock()
		if text > 0 {
			return true
		}
		select {
		case <-change:
		case err := <-p.ended:
			p.ended <- err
			return false
		}
	}
}

// count is how many lines have come that are like this.
func (p *person) count(pattern string) (n int) {
	re := regexp.MustCompile(pattern)
	for _, l := range p.out.lines() {
		if re.MatchString(l) {
			n++
		}
	}
	return n
}

// numbers are the numbers that somebody has said in the lobby.
func (p *person) numbers(nick string) (out []int) {
	for _, l := range p.out.lines() {
		if text, ok := strings.CutPrefix(l, "[lobby] "+nick+": "); ok {
			if n, err := strconv.Atoi(text); err == nil {
				out = append(out, n)
			}
		}
	}
	return out
}

// answers asks until the answer, a line that begins like the one wanted, is that.
func (p *person) answers(question, want string) {
	p.t.Helper()
	begin := regexp.QuoteMeta(want[:strings.Index(want, ":")+1])
	got := ""
	for end := time.Now().Add(patience); got != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s answers %q, want %q", question, got, want)
		}
		p.say(question)
		got = p.match("^" + begin)
	}
}

// say types a line.
func (p *person) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.t.Fatalf("%s cannot type: %v", p.nick, err)
	}
}

// end waits for the chat to end.
func (p *person) end() error {
	p.t.Helper()
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-time.After(patience):
		p.t.Fatalf("the chat of %s does not end; it shows\n%s", p.nick, strings.Join(p.out.lines(), "\n"))
		return nil
	}
}
