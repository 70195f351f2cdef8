package gateway

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kith-mesh/kith/meshtest"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// TestJavaScript runs the official JavaScript client of NATS as a citizen of the mesh: it calls a function, gets a typed
// error, hears a broadcast and sends one.
func TestJavaScript(t *testing.T) {
	if testing.Short() {
		t.Skip("installs a package from npm; not in short mode")
	}
	for _, tool := range []string{"npm", "node"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed: the JavaScript client of NATS is tried in CI, which has it", tool)
		}
	}
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "client.mjs"} {
		data, err := os.ReadFile(filepath.Join("testdata", "js", name))
		fatal(t, err)
		fatal(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}

	w := start(t, "a@127.0.0.1", t.TempDir(), true)
	scope, err := w.groups.Scope(pg.DefaultScope)
	fatal(t, err)
	got := make(chan any, 8)
	member := w.runtime.Spawn(func(self *process.Process) error {
		for {
			m, err := self.Receive(self.Context())
			if err != nil {
				return nil
			}
			got <- m
		}
	})
	fatal(t, scope.Join("news", member))

	cmd := exec.CommandContext(t.Context(), "node", "client.mjs", "nats://"+w.node.ClientAddr(), "guest", password)
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	out, err := cmd.StdoutPipe()
	fatal(t, err)
	fatal(t, cmd.Start())
	lines := bufio.NewScanner(out)
	want := []string{"sum 6", "error 503 no_connection", "listening", "heard hello", "sent true"}
	for _, line := range want {
		if !lines.Scan() || lines.Text() != line {
			t.Fatalf("the client says %q, want %q", lines.Text(), line)
		}
		if line == "listening" {
			meshtest.Eventually(t, "the gateway to join", func() bool { return len(scope.Members("news")) == 2 })
			_, err := scope.Broadcast(t.Context(), "news", "hello")
			fatal(t, err)
			if m := <-got; m != "hello" {
				t.Fatal(m)
			}
		}
	}
	if m := <-got; m != "from javascript" {
		t.Fatal(m)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(strings.TrimSpace(err.Error()))
	}
}
