package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/meshtest"
)

const (
	oldCookie = "the cookie that was before, long enough"
	newCookie = "the cookie that comes after, long enough"
)

// keep writes a private file.
func keep(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// addressOf is where a node that is ready listens.
func addressOf(out *buffer) string { return strings.Fields(out.String())[2] }

// TestRotateCookie changes the cookie of a data dir as the documentation says: two nodes go on, their session is the one
// that it was, and the old cookie opens nothing in the end.
func TestRotateCookie(t *testing.T) {
	dir := t.TempDir()
	file := keep(t, filepath.Join(dir, "cookie"), oldCookie+"\n")
	out, _ := startNode(t, dir, "a")
	startNode(t, dir, "b")
	for _, step := range []string{oldCookie + "\n" + newCookie, newCookie + "\n" + oldCookie, newCookie} {
		keep(t, file, step+"\n")
		stdout, _ := kithIn(t, dir, 0, "multicall", "kith.reload")
		if stdout != "a@127.0.0.1 ok true\nb@127.0.0.1 ok true\n" {
			t.Fatalf("got %q", stdout)
		}
	}
	stdout, _ := kithIn(t, dir, 0, "doctor")
	if !strings.Contains(stdout, "all of which see each other") || strings.Contains(stdout, " ago, ") && strings.Contains(stdout, "does not see") {
		t.Errorf("got %q", stdout)
	}
	other := []string{"nodes", "--data-dir", t.TempDir(), "--discover", "none", "--join", addressOf(out), "--timeout", "5s"}
	if status, _, stderr := kith(t, append(other, "--cookie", oldCookie)...); status != 1 || !strings.Contains(stderr, "cookie differs") {
		t.Errorf("the old cookie: %d, %q", status, stderr)
	}
	if status, stdout, stderr := kith(t, append(other, "--cookie", newCookie)...); status != 0 || !strings.Contains(stdout, "a@127.0.0.1") {
		t.Errorf("the new cookie: %d, %q, %q", status, stdout, stderr)
	}
	// A file that is no good changes nothing, and whoever asked is told.
	keep(t, file, newCookie+"\nshort\n")
	if _, stderr := kithIn(t, dir, 1, "call", "a", "kith.reload", "--cookie", newCookie); !strings.Contains(stderr, "bad length") || strings.Contains(stderr, newCookie) {
		t.Errorf("got %q", stderr)
	}
	kithIn(t, dir, 0, "ping", "a", "--cookie", newCookie)
}

// TestWrongCookie: who has another cookie is told that, and not that the node is slow.
func TestWrongCookie(t *testing.T) {
	dir := t.TempDir()
	startNode(t, dir, "a")
	for _, command := range []string{"call a kith.echo", "cast a kith.echo", "stop a", "ping a"} {
		args := append(strings.Fields(command), "--cookie", oldCookie)
		if _, stderr := kithIn(t, dir, 1, args...); !strings.Contains(stderr, "error: a@127.0.0.1 did not become a peer: cookie differs") {
			t.Errorf("%s: got %q", command, stderr)
		}
	}
}

func TestCertificateOfNode(t *testing.T) {
	dir, files := t.TempDir(), t.TempDir()
	home := meshtest.NewAuthority(t)
	cert, key, roots := home.Write(files, home.Issue("127.0.0.1"))
	flags := []string{"--certificate", cert, "--certificate-key", key, "--certificate-roots", roots}
	startNode(t, dir, "a", flags...)
	startNode(t, dir, "b", flags...)
	stdout, _ := kithIn(t, dir, 0, append([]string{"nodes"}, flags...)...)
	if stdout != "a@127.0.0.1 visible\nb@127.0.0.1 visible\n" {
		t.Errorf("got %q", stdout)
	}
	if _, err := os.Stat(filepath.Join(dir, "cookie")); !os.IsNotExist(err) {
		t.Errorf("a cookie was made: %v", err)
	}
	if _, stderr := kithIn(t, dir, 1, "nodes", "--cookie", oldCookie); !strings.Contains(stderr, "cookie differs") {
		t.Errorf("with a cookie: %q", stderr)
	}
	home.Write(files, home.Issue("127.0.0.1")) // renewed
	if stdout, _ := kithIn(t, dir, 0, append([]string{"multicall", "kith.reload"}, flags...)...); strings.Count(stdout, " ok true") != 2 {
		t.Errorf("got %q", stdout)
	}
	home.Write(files, home.Issue("elsewhere.example.com"))
	if _, stderr := kithIn(t, dir, 2, append([]string{"node", "--name", "c"}, flags...)...); !strings.Contains(stderr, "elsewhere.example.com") {
		t.Errorf("for another host: %q", stderr)
	}
	home.Write(files, home.Issue("c@127.0.0.1"))
	if _, stderr := kithIn(t, dir, 2, append([]string{"nodes"}, flags...)...); !strings.Contains(stderr, "--name") {
		t.Errorf("for one name: %q", stderr)
	}
	if stdout, _ := kithIn(t, dir, 0, append([]string{"nodes", "--name", "c"}, flags...)...); !strings.Contains(stdout, "a@127.0.0.1") {
		t.Errorf("under that name: %q", stdout)
	}
	if _, stderr := kithIn(t, dir, 2, "node", "--certificate", key, "--certificate-key", key, "--certificate-roots", roots); !strings.Contains(stderr, "flag --certificate") {
		t.Errorf("no certificate: %q", stderr)
	}
}

func TestPermissions(t *testing.T) {
	dir := t.TempDir()
	startNode(t, dir, "a", "--permit", "allow ops@* any", "--permit", "refuse * stop", "--permit", "refuse * call kith.sum")
	if _, stderr := kithIn(t, dir, 1, "stop", "a"); !strings.Contains(stderr, "refused by a rule") {
		t.Errorf("stop: %q", stderr)
	}
	if stdout, _ := kithIn(t, dir, 1, "multicall", "kith.sum", "[1]"); !strings.HasPrefix(stdout, "a@127.0.0.1 error refused ") {
		t.Errorf("multicall: %q", stdout)
	}
	kithIn(t, dir, 0, "call", "a", "kith.echo", "1")
	kithIn(t, dir, 0, "call", "a", "kith.sum", "[1]", "--name", "ops")
	if _, stderr := kithIn(t, dir, 2, "node", "--permit", "forbid * stop"); !strings.Contains(stderr, "neither allow nor refuse") {
		t.Errorf("a bad rule: %q", stderr)
	}
	if stdout, _ := kithIn(t, dir, 0, "stop", "a", "--name", "ops"); stdout != "stopped a@127.0.0.1\n" {
		t.Errorf("stop by ops: %q", stdout)
	}
}

func TestPeerCookiesFile(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	keep(t, filepath.Join(here, "cookie"), oldCookie)
	keep(t, filepath.Join(there, "cookie"), newCookie)
	out, _ := startNode(t, here, "a", "--peer-cookies", keep(t, filepath.Join(here, "peers"), "b@127.0.0.1 "+newCookie+"\n"))
	startNode(t, there, "b", "--join", addressOf(out))
	await(t, "the two to meet", func() bool {
		stdout, _ := kithIn(t, here, 0, "nodes")
		return stdout == "a@127.0.0.1 visible\nb@127.0.0.1 visible\n"
	})
	if _, stderr := kithIn(t, here, 2, "node", "--peer-cookies", keep(t, filepath.Join(here, "bad"), "b "+newCookie)); !strings.Contains(stderr, "bad:1") || strings.Contains(stderr, newCookie) {
		t.Errorf("a bad file: %q", stderr)
	}
}

func TestClientUsersWithTLS(t *testing.T) {
	dir, files := t.TempDir(), t.TempDir()
	home := meshtest.NewAuthority(t)
	cert, key, roots := home.Write(files, home.Issue("127.0.0.1"))
	users := keep(t, filepath.Join(files, "users"), "# who\nadder good-password publish=kith.fn.kith.sum subscribe=_INBOX.>\nall another-password\n")
	_, errs, _ := background(t, strings.NewReader(""), "node", "--data-dir", dir, "--name", "a", "--certificate", cert,
		"--certificate-key", key, "--certificate-roots", roots, "--client-listen", "127.0.0.1:0", "--client-users", users, "--log-format", "json")
	var addr string
	await(t, "the port", func() bool {
		_, rest, found := strings.Cut(errs.String(), `"address":"`)
		addr, _, _ = strings.Cut(rest, `"`)
		return found && strings.Contains(errs.String(), "NATS clients may connect")
	})
	refused := make(chan error, 4)
	adder, err := nats.Connect("tls://"+addr, nats.UserInfo("adder", "good-password"), nats.RootCAs(roots),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer adder.Close()
	if !adder.TLSRequired() {
		t.Error("the port speaks plain text")
	}
	await(t, "a sum", func() bool {
		m, err := adder.Request("kith.fn.kith.sum", []byte("[1,2]"), time.Second)
		return err == nil && string(m.Data) == "3"
	})
	if err := adder.Publish("kith.fn.kith.stop", nil); err != nil {
		t.Fatal(err)
	}
	if err := <-refused; !strings.Contains(err.Error(), "kith.stop") {
		t.Errorf("got %v", err)
	}
	// Who may call what nobody has said of may call everything but what stops a node.
	all, err := nats.Connect("tls://"+addr, nats.UserInfo("all", "another-password"), nats.RootCAs(roots),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	for _, fn := range []string{"kith.stop", "kith.reload"} {
		if err := all.Publish("kith.fn."+fn, nil); err != nil {
			t.Fatal(err)
		}
		if err := <-refused; !strings.Contains(err.Error(), fn) {
			t.Errorf("got %v", err)
		}
	}
	if m, err := all.Request("kith.fn.kith.sum", []byte("[1,2]"), time.Second); err != nil || string(m.Data) != "3" {
		t.Errorf("got %v, %v", m, err)
	}
	if nc, err := nats.Connect("nats://"+addr, nats.UserInfo("all", "another-password")); err == nil {
		nc.Close()
		t.Error("it lets in who does not trust its certificate")
	}
	if _, stderr := kithIn(t, dir, 2, "node", "--client-listen", "127.0.0.1:0", "--client-users", keep(t, users, "adder secret-word dance=x\n")); !strings.Contains(stderr, "dance") || strings.Contains(stderr, "secret-word") {
		t.Errorf("a bad file: %q", stderr)
	}
}
