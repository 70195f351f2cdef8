package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/kith-mesh/kith/internal/version"
)

func TestMain(m *testing.M) {
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "KITH_") {
			os.Unsetenv(name)
		}
	}
	goleak.VerifyTestMain(m)
}

// buffer is a bytes.Buffer that several goroutines may use.
type buffer struct {
	mu sync.Mutex // guards the field below
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// kith runs one command line to its end.
func kith(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs buffer
	status = run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

// background runs a command line until the test, or the returned function, ends it; that returns its exit status.
func background(t *testing.T, stdin io.Reader, args ...string) (out, errs *buffer, end func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, errs = new(buffer), new(buffer)
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, stdin, out, errs) }()
	end = sync.OnceValue(func() int {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		end()
		if t.Failed() {
			t.Logf("kith %s\n%s%s", strings.Join(args, " "), out, errs)
		}
	})
	return out, errs, end
}

// await waits until cond holds.
func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond) // there is nothing to be told by: the output of a program is all there is
	}
}

func TestUsage(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "k.yaml")
	if err := os.WriteFile(file, []byte("mesh: m\nmehs: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		title  string
		args   []string
		status int
		want   string // in stderr
	}{
		{"no_command", nil, 2, "error: a command is missing"},
		{"unknown_command", []string{"dance"}, 2, "error: unknown command"},
		{"unknown_help", []string{"help", "dance"}, 2, "error: unknown command"},
		{"unknown_shell", []string{"completion", "ash"}, 2, "did you mean bash?"},
		{"no_shell", []string{"completion"}, 2, "error: the name of a shell is missing"},
		{"near_command", []string{"nods"}, 2, "did you mean node"},
		{"unknown_flag", []string{"nodes", "--colour"}, 2, "error: unknown flag --colour"},
		{"near_flag", []string{"nodes", "--jion", "a:1"}, 2, "did you mean --join?"},
		{"flag_of_another_command", []string{"names", "--scope", "s"}, 2, "unknown flag"},
		{"flag_without_value", []string{"nodes", "--join"}, 2, "error: flag needs an argument: --join"},
		{"bad_value", []string{"node", "--tick", "0"}, 2, `error: bad value "0" for tick (flag --tick)`},
		{"bad_output", []string{"names", "-o", "xml"}, 2, "allowed: text, json"},
		{"bad_strategy", []string{"node", "--discover", "telepathy"}, 2, `"telepathy" for discover (flag --discover)`},
		{"bad_file", []string{"node", "--config", file}, 2, "did you mean mesh?"},
		{"no_file", []string{"names", "--config", filepath.Join(dir, "none.yaml")}, 2, "no such file"},
		{"no_cookie_file", []string{"node", "--cookie-file", filepath.Join(dir, "none")}, 2, "no such file"},
		{"short_cookie", []string{"node", "--cookie", "short"}, 2, "16 bytes or more"},
		{"open_client_port", []string{"node", "--client-listen", "0.0.0.0:0"}, 2, "0.0.0.0:0 for clients needs TLS"},
		{"bad_nick", []string{"chat", "--nick", "a b"}, 2, `error: bad value "a b" for nick (flag --nick)`},
		{"bad_room", []string{"chat", "--nick", "a", "--room", "[x]"}, 2, `"[x]" for room`},
		{"missing_argument", []string{"ping"}, 2, "error: an argument is missing: kith ping NODE"},
		{"extra_argument", []string{"names", "x"}, 2, `error: "x" is one argument too many`},
		{"bad_node_name", []string{"ping", "a b"}, 2, `error: bad node name "a b"`},
		{"bad_function", []string{"call", "a", "a..b"}, 2, `error: bad function name "a..b"`},
		{"negative_argument", []string{"call", "a", "kith.echo", "-1"}, 2, "an argument that begins with - is given behind --"},
		{"bad_json", []string{"call", "a", "kith.echo", "{"}, 2, "JSON"},
		{"bad_group", []string{"members", ""}, 2, "allowed: 1 to 255"},
		{"nobody_nodes", []string{"nodes"}, 1, "error: no node is running"},
		{"nobody_call", []string{"call", "a", "kith.echo"}, 1, "start one with kith node"},
		{"nobody_stop", []string{"stop", "a"}, 1, "error: no node is running"},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			t.Setenv("KITH_DATA_DIR", filepath.Join(dir, "data"))
			began := time.Now()
			status, stdout, stderr := kith(t, tt.args...)
			if status != tt.status || !strings.Contains(stderr, tt.want) || stdout != "" {
				t.Errorf("got %d, %q, %q", status, stdout, stderr)
			}
			if lines := strings.Count(stderr, "error: "); lines != 1 {
				t.Errorf("%d errors in %q", lines, stderr)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestPingNobody(t *testing.T) {
	status, stdout, stderr := kith(t, "ping", "a", "--data-dir", t.TempDir())
	if status != 1 || stdout != "pang\n" || !strings.Contains(stderr, "error: no node is running") {
		t.Errorf("got %d, %q, %q", status, stdout, stderr)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("KITH_MEHS", "x")
	status, _, stderr := kith(t, "names", "--data-dir", t.TempDir())
	if status != 2 || !strings.Contains(stderr, "did you mean KITH_MESH?") {
		t.Errorf("got %d, %q", status, stderr)
	}
}

func TestNamesOfNobody(t *testing.T) {
	dir := t.TempDir()
	if status, stdout, stderr := kith(t, "names", "--data-dir", dir); status != 0 || stdout != "" || stderr != "" {
		t.Errorf("got %d, %q, %q", status, stdout, stderr)
	}
	if status, stdout, _ := kith(t, "names", "--data-dir", dir, "-o", "json"); status != 0 || stdout != "[]\n" {
		t.Errorf("got %d, %q", status, stdout)
	}
}

// TestHelp: every command has a short and a usage line, an example that calls it, and help that goes to stdout.
func TestHelp(t *testing.T) {
	root := newRoot(&app{stdout: io.Discard, stderr: io.Discard})
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		t.Run(strings.ReplaceAll(c.CommandPath(), " ", "_"), func(t *testing.T) {
			if c.Short == "" || !strings.Contains(c.Example, "kith ") || c != root && !strings.Contains(c.Example, c.CommandPath()) {
				t.Errorf("short %q, example %q", c.Short, c.Example)
			}
			status, stdout, stderr := kith(t, append(strings.Fields(c.CommandPath())[1:], "--help")...)
			if status != 0 || stderr != "" || !strings.Contains(stdout, "Examples:") || !strings.Contains(stdout, "--data-dir") {
				t.Errorf("got %d, %q, %q", status, stdout, stderr)
			}
		})
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
}

func TestVersion(t *testing.T) {
	status, stdout, _ := kith(t, "version")
	if status != 0 || !strings.HasPrefix(stdout, "kith v") || !strings.Contains(stdout, "\ngo 1.") || !strings.Contains(stdout, "\nnats-server ") {
		t.Errorf("got %d, %q", status, stdout)
	}
	var v map[string]string
	status, stdout, _ = kith(t, "version", "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &v); status != 0 || err != nil || v["version"] != version.Kith() || v["go"] == "" || v["nats"] == "" {
		t.Errorf("got %d, %q", status, stdout)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if status, stdout, stderr := kith(t, "completion", shell); status != 0 || len(stdout) < 1000 || stderr != "" {
			t.Errorf("%s: got %d, %d bytes, %q", shell, status, len(stdout), stderr)
		}
	}
}

func TestNameOfNick(t *testing.T) {
	for _, nick := range []string{"alice", "A_1-"} {
		if got := nameOfNick(nick); got != nick {
			t.Errorf("%s: %s", nick, got)
		}
	}
	var names []string
	for _, nick := range []string{"ünal", "ýnal", "a.b", "a,b", "日本", strings.Repeat("é", 32)} {
		name := nameOfNick(nick)
		if _, err := nodeArgument(name); err != nil || slices.Contains(names, name) {
			t.Errorf("%s: %s, %v", nick, name, err)
		}
		names = append(names, name)
	}
}

func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"lobby": "lobby", "two words": "two words", "": `""`, "a\nb": `"a\nb"`, "\x1b[2J": `"\x1b[2J"`, "\xff": `"\xff"`,
	} {
		if got := shown(name); got != want {
			t.Errorf("%q: got %s", name, got)
		}
	}
}

// TestHarmless: what another node says reaches the terminal as text.
func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		`no "tea" here`: `no "tea" here`, "\x1b[2J\"gone\"": `\x1b[2J"gone"`, "\xff": `\xff`, "é – ok": "é – ok", "": "",
	} {
		if got := harmless(text); got != want {
			t.Errorf("%q: got %s", text, got)
		}
	}
}

// TestFlagValuesComplete: the shell offers the words of flags that take one of a few, and files only where a file is meant.
func TestFlagValuesComplete(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"node", "--mode", ""}, "embedded\nleaf\nexternal\n:4\n"},
		{[]string{"node", "--mode", "l"}, "embedded\nleaf\nexternal\n:4\n"},
		{[]string{"nodes", "--output", ""}, "text\njson\n:4\n"},
		{[]string{"chat", "--log-format", ""}, "console\njson\n:4\n"},
		{[]string{"node", "--tick", ""}, ":4\n"},
		{[]string{"node", "--cookie-file", ""}, ":0\n"},
	} {
		status, stdout, _ := kith(t, append([]string{"__complete"}, c.args...)...)
		if status != 0 || stdout != c.want {
			t.Errorf("%q: status %d, %q", c.args, status, stdout)
		}
	}
}
