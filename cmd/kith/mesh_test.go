package main

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// startNode runs kith node in the data dir and waits until it is ready.
func startNode(t *testing.T, dir, name string, args ...string) (out *buffer, end func() int) {
	t.Helper()
	out, _, end = background(t, strings.NewReader(""),
		append([]string{"node", "--data-dir", dir, "--name", name, "--log-level", "warn"}, args...)...)
	await(t, name+" to be ready", func() bool { return strings.HasPrefix(out.String(), "ready "+fullName(name)+" 127.0.0.1:") })
	return out, end
}

// kithIn is kith with a data dir, and fails the test unless the status is as wanted.
func kithIn(t *testing.T, dir string, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	status, stdout, stderr := kith(t, append(args, "--data-dir", dir)...)
	if status != want {
		t.Fatalf("kith %s: status %d\n%s%s", strings.Join(args, " "), status, stdout, stderr)
	}
	return stdout, stderr
}

func TestMesh(t *testing.T) {
	dir := t.TempDir()
	startNode(t, dir, "b")
	_, endA := startNode(t, dir, "a")
	startNode(t, dir, "shy", "--hidden")

	t.Run("names", func(t *testing.T) {
		stdout, _ := kithIn(t, dir, 0, "names")
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		if len(lines) != 3 || !strings.HasPrefix(lines[0], "a@127.0.0.1 127.0.0.1:") || len(strings.Fields(lines[0])) != 3 {
			t.Errorf("got %q", stdout)
		}
		var list []localNode
		stdout, _ = kithIn(t, dir, 0, "names", "-o", "json")
		if err := json.Unmarshal([]byte(stdout), &list); err != nil || len(list) != 3 || list[1].Name != "b@127.0.0.1" || list[1].PID == 0 {
			t.Errorf("got %q, %v", stdout, err)
		}
	})
	t.Run("nodes", func(t *testing.T) {
		if stdout, _ := kithIn(t, dir, 0, "nodes"); stdout != "a@127.0.0.1 visible\nb@127.0.0.1 visible\n" {
			t.Errorf("got %q", stdout)
		}
		stdout, _ := kithIn(t, dir, 0, "nodes", "-o", "json")
		want := `[{"name":"a@127.0.0.1","visibility":"visible"},{"name":"b@127.0.0.1","visibility":"visible"}]` + "\n"
		if stdout != want {
			t.Errorf("got %q", stdout)
		}
	})
	t.Run("ping", func(t *testing.T) {
		if stdout, stderr := kithIn(t, dir, 0, "ping", "b@127.0.0.1"); stdout != "pong\n" || stderr != "" {
			t.Errorf("got %q, %q", stdout, stderr)
		}
		if stdout, _ := kithIn(t, dir, 0, "ping", "shy"); stdout != "pong\n" {
			t.Errorf("hidden: got %q", stdout)
		}
		if stdout, stderr := kithIn(t, dir, 1, "ping", "nobody"); stdout != "pang\n" || !strings.HasPrefix(stderr, "error: ") {
			t.Errorf("got %q, %q", stdout, stderr)
		}
	})
	t.Run("call", func(t *testing.T) {
		for _, tt := range []struct{ want, fn, args string }{
			{"6", "kith.sum", "[1,2,3]"}, {"6", "kith.sum", "1 2 3"}, {"null", "kith.echo", ""}, {`"x"`, "kith.echo", `"x"`},
			{"[1,2]", "kith.echo", "1 2"}, {`{"a":1.5}`, "kith.echo", `{"a":1.5}`}, {"12345678901234567890", "kith.echo", "12345678901234567890"},
		} {
			args := append([]string{"call", "b", tt.fn}, strings.Fields(tt.args)...)
			if stdout, _ := kithIn(t, dir, 0, args...); stdout != tt.want+"\n" {
				t.Errorf("%s(%s): got %q", tt.fn, tt.args, stdout)
			}
		}
		if stdout, stderr := kithIn(t, dir, 1, "call", "b", "no.such"); stdout != "" || !strings.Contains(stderr, "no such function") {
			t.Errorf("got %q, %q", stdout, stderr)
		}
		if stdout, stderr := kithIn(t, dir, 1, "call", "b", "kith.sleep", "60000", "--timeout", "2s"); stdout != "" || !strings.Contains(stderr, "time") {
			t.Errorf("got %q, %q", stdout, stderr)
		}
	})
	t.Run("multicall", func(t *testing.T) {
		if stdout, _ := kithIn(t, dir, 0, "multicall", "kith.echo", "1"); stdout != "a@127.0.0.1 ok 1\nb@127.0.0.1 ok 1\n" {
			t.Errorf("got %q", stdout)
		}
		stdout, stderr := kithIn(t, dir, 1, "multicall", "kith.echo", "1", "--nodes", "nobody,b")
		if !strings.HasPrefix(stdout, "nobody@127.0.0.1 error no_connection ") || !strings.HasSuffix(stdout, "\nb@127.0.0.1 ok 1\n") ||
			stderr != "error: 1 of 2 calls failed\n" {
			t.Errorf("got %q, %q", stdout, stderr)
		}
		stdout, _ = kithIn(t, dir, 1, "multicall", "no.such", "--nodes", "b", "-o", "json")
		var answers []answer
		if err := json.Unmarshal([]byte(stdout), &answers); err != nil || len(answers) != 1 || answers[0].Kind != "no_function" {
			t.Errorf("got %q, %v", stdout, err)
		}
	})
	t.Run("cast", func(t *testing.T) {
		if stdout, stderr := kithIn(t, dir, 0, "cast", "b", "kith.echo", "1"); stdout+stderr != "" {
			t.Errorf("got %q, %q", stdout, stderr)
		}
		kithIn(t, dir, 1, "cast", "nobody", "kith.echo")
	})
	t.Run("groups", func(t *testing.T) {
		if stdout, _ := kithIn(t, dir, 0, "groups"); stdout != "" {
			t.Errorf("got %q", stdout)
		}
		if stdout, _ := kithIn(t, dir, 0, "members", "x", "--scope", "unheard", "-o", "json"); stdout != "[]\n" {
			t.Errorf("got %q", stdout)
		}
		if stdout, _ := kithIn(t, dir, 0, "broadcast", "x", "hello"); stdout != "sent to 0 members on 0 nodes\n" {
			t.Errorf("got %q", stdout)
		}
	})
	t.Run("completion", func(t *testing.T) {
		status, stdout, _ := kith(t, "__complete", "ping", "--data-dir", dir, "")
		if status != 0 || !strings.Contains(stdout, "a@127.0.0.1\t127.0.0.1:") || !strings.Contains(stdout, "b@127.0.0.1\t") {
			t.Errorf("got %q", stdout)
		}
	})
	t.Run("doctor", func(t *testing.T) {
		stdout, _ := kithIn(t, dir, 0, "doctor")
		if !regexp.MustCompile(`  sees b@127\.0\.0\.1, visible, for \S+s, round trip \S+s, heard \S+s ago, 0 missed ticks\n`).MatchString(stdout) || !strings.Contains(stdout, "2 visible nodes, all of which see each other") {
			t.Errorf("got %q", stdout)
		}
	})
	t.Run("wrong_cookie", func(t *testing.T) {
		_, stderr := kithIn(t, dir, 1, "nodes", "--cookie", "not the cookie of this mesh")
		if !strings.Contains(stderr, "cookie") {
			t.Errorf("got %q", stderr)
		}
	})
	t.Run("name_in_use", func(t *testing.T) {
		_, stderr := kithIn(t, dir, 1, "node", "--name", "a")
		if !strings.Contains(stderr, "in use") {
			t.Errorf("got %q", stderr)
		}
	})
	t.Run("watch_and_stop", func(t *testing.T) {
		out, _, end := background(t, strings.NewReader(""), "watch", "--data-dir", dir)
		await(t, "both nodes to be seen", func() bool {
			return strings.Contains(out.String(), "nodeup a@127.0.0.1\n") && strings.Contains(out.String(), "nodeup b@127.0.0.1\n")
		})
		startNode(t, dir, "c")
		await(t, "a third node to be seen", func() bool { return strings.Contains(out.String(), "nodeup c@127.0.0.1\n") })
		if stdout, _ := kithIn(t, dir, 0, "stop", "c"); stdout != "stopped c@127.0.0.1\n" {
			t.Errorf("got %q", stdout)
		}
		if status := endA(); status != 0 {
			t.Errorf("a ended with %d", status)
		}
		await(t, "both to be missed", func() bool {
			return strings.Contains(out.String(), "nodedown c@127.0.0.1 shutdown\n") && strings.Contains(out.String(), "nodedown a@127.0.0.1 shutdown\n")
		})
		if strings.Contains(out.String(), "shy") {
			t.Errorf("a hidden node was told of: %s", out)
		}
		if status := end(); status != 0 {
			t.Errorf("watch ended with %d", status)
		}
	})
}

func TestChat(t *testing.T) {
	dir := t.TempDir()
	in, lines := io.Pipe()
	defer lines.Close()
	out, _, _ := background(t, in, "chat", "--data-dir", dir, "--nick", "alice")
	await(t, "alice to be there", func() bool { return strings.Contains(out.String(), "* connected as alice on alice@127.0.0.1\n") })

	_, stderr := kithIn(t, dir, 1, "chat", "--nick", "alice")
	if !strings.Contains(stderr, "try --nick alice2") {
		t.Errorf("got %q", stderr)
	}
	if stdout, _ := kithIn(t, dir, 0, "members", "lobby", "--scope", "chat"); !strings.HasSuffix(stdout, " alice@127.0.0.1\n") {
		t.Errorf("got %q", stdout)
	}
	bobIn, bobLines := io.Pipe()
	defer bobLines.Close()
	bob, _, endBob := background(t, bobIn, "chat", "--data-dir", dir, "--nick", "bob")
	await(t, "bob to be there", func() bool { return strings.Contains(out.String(), "* bob joined lobby\n") })
	fmt.Fprintln(bobLines, "hello")
	await(t, "alice to read it", func() bool { return strings.Contains(out.String(), "[lobby] bob: hello\n") })
	if status := endBob(); status != 0 || !strings.Contains(bob.String(), "[lobby] bob: hello\n") {
		t.Errorf("got %d, %q", status, bob)
	}
}
