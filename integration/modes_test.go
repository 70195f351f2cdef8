package integration

import (
	"regexp"
	"strings"
	"testing"

	"github.com/kith-mesh/kith/internal/natstest"
)

// TestLeafMode: people at the edge, behind a leaf port, and people in the cluster chat as if they were one.
func TestLeafMode(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	cookie := []string{"--cookie", "a cookie for this test only"}
	hub := m.node("hub", append(cookie, "--leaf-listen", "127.0.0.1:0")...)
	found := regexp.MustCompile(`leaf nodes may connect.* address=(\S+)`).FindStringSubmatch(hub.stderrMatch(`leaf nodes may connect`))
	if found == nil {
		t.Fatal("no address")
	}
	edge := newMesh(t)
	alice := m.chat("alice", cookie...)
	at := append(cookie, "--mode", "leaf", "--servers", found[1])
	bob := edge.run("bob", append([]string{"chat", "--nick", "bob"}, at...)...)
	bob.match(`^\* connected as bob on bob@127\.0\.0\.1$`)
	conversation(t, m, alice, bob)
	if out := edge.ok(append([]string{"nodes"}, at...)...); out != "alice@127.0.0.1 visible\nbob@127.0.0.1 visible\nhub@127.0.0.1 visible\n" {
		t.Errorf("nodes prints %q", out)
	}
	if out := edge.ok(append([]string{"call", "alice", "kith.sum", "1", "2"}, at...)...); out != "3\n" {
		t.Errorf("call prints %q", out)
	}
	if out := edge.ok(append([]string{"doctor"}, at...)...); !strings.Contains(out, "3 visible nodes, all of which see each other") {
		t.Errorf("doctor prints %q", out)
	}
	watch := edge.run("watch", append([]string{"watch"}, at...)...)
	watch.anyOrder("nodeup alice@127.0.0.1", "nodeup bob@127.0.0.1", "nodeup hub@127.0.0.1")
	bob.kill()
	watch.line("nodedown bob@127.0.0.1 connection_closed")
	alice.line("* bob left lobby (node down)")
}

// TestExternalMode: the same through a NATS cluster that was there before.
func TestExternalMode(t *testing.T) {
	t.Parallel()
	cluster := natstest.Start(t, 2, "")
	m := newMesh(t)
	first, second := []string{"--mode", "external", "--servers", cluster.URL(0)}, []string{"--mode", "external", "--servers", cluster.URL(1)}
	alice := m.run("alice", append([]string{"chat", "--nick", "alice"}, first...)...)
	alice.match(`^\* connected as alice on alice@127\.0\.0\.1$`)
	bob := m.run("bob", append([]string{"chat", "--nick", "bob"}, second...)...)
	bob.match(`^\* connected as bob on bob@127\.0\.0\.1$`)
	conversation(t, m, alice, bob)
	if out := m.ok(append([]string{"nodes"}, first...)...); out != "alice@127.0.0.1 visible\nbob@127.0.0.1 visible\n" {
		t.Errorf("nodes prints %q", out)
	}
	node := m.run("node", append([]string{"node", "--name", "n"}, first...)...)
	node.match(`^ready n@127\.0\.0\.1 ` + strings.TrimPrefix(cluster.URL(0), "nats://") + `$`)
	if out := m.ok(append([]string{"stop", "n"}, second...)...); out != "stopped n@127.0.0.1\n" {
		t.Errorf("stop prints %q", out)
	}
	node.exit(0)
	bob.kill()
	alice.line("* bob left lobby (node down)")
}

// TestModesRefused: settings that mean nothing together are wrong usage, and say why.
func TestModesRefused(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	for args, says := range map[string]string{
		"--mode leaf":                              "--servers",
		"--mode external":                          "--servers",
		"--servers 127.0.0.1:1":                    "only for the modes",
		"--mode leaf --servers nats://127.0.0.1:1": "HOST:PORT",
		"--mode leaf --servers 127.0.0.1:1 --leaf-listen 127.0.0.1:0":       "only for the mode embedded",
		"--mode external --servers 127.0.0.1:1 --client-listen 127.0.0.1:0": "external",
		"--mode external --servers 127.0.0.1:1 --store node-1=127.0.0.1:2":  "",
	} {
		r := m.kith(append([]string{"node", "--name", "node-1"}, strings.Fields(args)...)...)
		if r.code != 2 && says != "" || r.code == 0 || !strings.Contains(r.err, says) {
			t.Errorf("%s: status %d, %q", args, r.code, r.err)
		}
	}
	if r := m.kith("node", "--mode", "external", "--servers", "127.0.0.1:1"); r.code != 1 || !strings.Contains(r.err, "no NATS server") {
		t.Errorf("status %d, %q", r.code, r.err)
	}
}

// conversation has two people see each other and talk.
func conversation(t *testing.T, m *mesh, alice, bob *proc) {
	t.Helper()
	alice.match(`^\* bob joined lobby$`)
	alice.say("can you hear me?")
	bob.line("[lobby] alice: can you hear me?")
	bob.say("as if you were here")
	alice.line("[lobby] bob: as if you were here")
	bob.say("/msg alice in private")
	alice.match(`in private`)
}
