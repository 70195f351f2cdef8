package node_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/node"
)

func TestNETNames(t *testing.T) {
	t.Run("NET-01_legal_and_illegal_names", func(t *testing.T) {
		legal := []string{"a@b", "a_1-Z@host.example.com", "n@127.0.0.1", "n@[::1]", strings.Repeat("x", 64) + "@h"}
		illegal := []string{
			"", "x", "@h", "n@", "a@b@c", "@", "a b@h", "a@h h", "ä@h", "a.b@h", "a*@h", "a>@h", "a@h*", "a@h#1", "a\x00@h", "a@h\n",
			strings.Repeat("x", 65) + "@h", "a@-h", "a@.", "a@h..x", "a@::1", "a@" + strings.Repeat("h", 300),
		}
		a, b := pair(t)
		for _, name := range legal {
			if n, h, err := node.ParseName(name); err != nil || n+"@"+h != name {
				t.Errorf("%q: %q, %q, %v", name, n, h, err)
			}
		}
		for _, name := range illegal {
			if _, _, err := node.ParseName(name); !errors.Is(err, node.ErrBadName) {
				t.Errorf("%q is taken for a name: %v", name, err)
			}
			if _, err := a.Ping(within(t), name); !errors.Is(err, node.ErrBadName) {
				t.Errorf("Ping(%q): %v", name, err)
			}
			if _, err := a.Connect(within(t), name); !errors.Is(err, node.ErrBadName) {
				t.Errorf("Connect(%q): %v", name, err)
			}
			if a.Disconnect(name) {
				t.Errorf("Disconnect(%q) says that there was a session", name)
			}
			if _, err := tryStart(t, "", func(c *node.Config) { c.Name = name }); !errors.Is(err, node.ErrBadName) {
				t.Errorf("Start of %q: %v", name, err)
			}
		}
		if _, err := a.Ping(within(t), b.Name()); err != nil {
			t.Errorf("the node is harmed: %v", err)
		}
	})
	t.Run("NET-02_same_data_dir", func(t *testing.T) {
		dir := t.TempDir()
		inDir := func(c *node.Config) { c.DataDir = dir }
		a := start(t, "a", inDir)
		b := start(t, "b", inDir)
		connected(t, a, b)
		began := time.Now()
		if _, err := tryStart(t, "a", inDir); !errors.Is(err, node.ErrNameInUse) {
			t.Fatalf("%v", err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		untouched(t, a, b)
		// Once the first has gone, the name is free at once.
		if err := a.Shutdown(within(t)); err != nil {
			t.Fatal(err)
		}
		again := start(t, "a", inDir)
		connected(t, again, b)
	})
	for _, how := range []string{"through_its_own_address", "through_a_third_node"} {
		t.Run("NET-02_joined_"+how, func(t *testing.T) {
			a := start(t, "a")
			b := start(t, "b", joining(a))
			connected(t, a, b)
			door := a
			if how == "through_a_third_node" {
				door = b
			}
			events := watch(t, b)
			for range 3 {
				if n, err := tryStart(t, "a", joining(door)); !errors.Is(err, node.ErrNameInUse) {
					t.Fatalf("%v, %v", n, err)
				}
			}
			untouched(t, a, b)
			if got := events.all(); len(got) != 0 {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("NET-02_a_crashed_life_is_no_hindrance", func(t *testing.T) {
		a := start(t, "a")
		b := start(t, "b", joining(a))
		connected(t, a, b)
		for range 3 {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
			a = start(t, "a", joining(b))
			connected(t, a, b)
		}
	})
}

// untouched says that a has kept its session with b, and is as ready as before.
func untouched(t *testing.T, a, b *node.Node) {
	t.Helper()
	if !same(a, b) {
		t.Error("the first has lost its session")
	}
	if err := a.WaitReady(within(t)); err != nil {
		t.Errorf("the first is not ready any more: %v", err)
	}
	if _, err := b.Ping(within(t), a.Name()); err != nil {
		t.Errorf("the first does not answer: %v", err)
	}
}

// logs is a log that may be written from several goroutines.
type logs struct {
	mu  sync.Mutex // guards the field below
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) into(c *node.Config) { c.Log = zerolog.New(l) }

func TestNETCookie(t *testing.T) {
	t.Run("NET-03_wrong_cookie", func(t *testing.T) {
		var atA, atB logs
		a := start(t, "a", atA.into)
		other := func(c *node.Config) { c.Cookie = []byte("quite another cookie, as long as the first") }
		events := watch(t, a, node.WithHidden())
		b := start(t, "b", joining(a), other, atB.into)
		meshtest.Eventually(t, "a refusal at the dialler", func() bool { return len(b.Report().Refusals) > 0 })
		if _, err := b.Ping(within(t), a.Name()); !errors.Is(err, node.ErrNoNode) && !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("Ping: %v", err)
		}
		if _, err := b.Connect(within(t), a.Name()); !errors.Is(err, node.ErrNoNode) && !errors.Is(err, node.ErrNotConnected) {
			t.Errorf("Connect: %v", err)
		}
		for _, n := range []*node.Node{a, b} {
			if got := n.Nodes(node.Connected, node.Known); len(got) != 0 {
				t.Errorf("%s knows %v", n.Name(), got)
			}
		}
		if got := events.all(); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		if !strings.Contains(atB.String(), "cookie") || strings.Count(atB.String(), "refused a candidate") != 1 {
			t.Errorf("the dialler's log has no single clear line:\n%s", atB.String())
		}
		meshtest.Eventually(t, "a line in the other's log", func() bool { return strings.Contains(atA.String(), "refused") })
		if text := atA.String() + atB.String(); strings.Contains(text, string(testCookie)) {
			t.Error("a log holds the cookie")
		}
		if in := a.Counters()["frames_in"]; in != 0 {
			t.Errorf("%d frames were taken", in)
		}
	})
	t.Run("NET-03_no_storm", func(t *testing.T) {
		a := start(t, "a")
		b := start(t, "b", joining(a), func(c *node.Config) { c.Cookie = []byte("quite another cookie, as long as the first") })
		tried := func() (n int) {
			for _, r := range b.Report().Refusals {
				n += r.Seen
			}
			return n
		}
		meshtest.Eventually(t, "the first refusal", func() bool { return tried() > 0 })
		began := time.Now()
		meshtest.Eventually(t, "some more", func() bool { return tried() >= 4 })
		// Pauses of 200, 400 and 800 ms, each between half and one and a half of that.
		if took := time.Since(began); took < 700*time.Millisecond {
			t.Errorf("four attempts in %v", took)
		}
	})
	t.Run("NET-03_wrong_mesh", func(t *testing.T) {
		a := start(t, "a")
		b := start(t, "b", joining(a), func(c *node.Config) { c.Mesh = "other" })
		meshtest.Eventually(t, "a refusal", func() bool { return len(b.Report().Refusals) > 0 })
		if a.Nodes(node.Connected) != nil && len(a.Nodes(node.Connected)) != 0 || len(b.Nodes(node.Connected)) != 0 {
			t.Error("they are connected")
		}
	})
	t.Run("short_cookie", func(t *testing.T) {
		for _, cookie := range []string{"", "123456789012345"} {
			if _, err := tryStart(t, "a", func(c *node.Config) { c.Cookie = []byte(cookie) }); !errors.Is(err, node.ErrBadArgument) {
				t.Errorf("%q: %v", cookie, err)
			}
		}
	})
}
