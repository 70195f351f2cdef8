package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestQueries asks a mesh of two nodes and a chat everything that the command can ask, as text and as JSON.
func TestQueries(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.node("a")
	m.node("b")
	alice := m.chat("alice")
	const addr = `127\.0\.0\.1:\d+`

	for _, c := range []struct {
		name string
		args string
		text string // a regular expression for all of it
		json string // the same for the JSON with all spaces taken out; empty: there is none
		code int
	}{
		{
			"names", "names",
			`a@127.0.0.1 ` + addr + ` \d+\nalice@127.0.0.1 ` + addr + ` \d+\nb@127.0.0.1 ` + addr + ` \d+\n`,
			`\[{"name":"a@127.0.0.1",.*"pid":\d+},{"name":"alice@127.0.0.1",.*},{"name":"b@127.0.0.1",.*}\]`, 0,
		},
		{
			"nodes", "nodes",
			`a@127.0.0.1 visible\nalice@127.0.0.1 visible\nb@127.0.0.1 visible\n`,
			`\[{"name":"a@127.0.0.1","visibility":"visible"},.*{"name":"b@127.0.0.1",.*}\]`, 0,
		},
		{"ping", "ping a@127.0.0.1", `pong\n`, `{"node":"a@127.0.0.1","result":"pong","rtt_us":\d+}`, 0},
		{"ping_short_name", "ping b", `pong\n`, "", 0},
		{"pang", "ping nobody@127.0.0.1", `pang\n`, `{"node":"nobody@127.0.0.1","result":"pang"}`, 1},
		{"call_sum", "call b@127.0.0.1 kith.sum [1,2,3]", `6\n`, "6", 0},
		{"call_sum_of_arguments", "call b@127.0.0.1 kith.sum 1 2 3", `6\n`, "", 0},
		{"call_echo_null", "call a@127.0.0.1 kith.echo", `null\n`, "null", 0},
		{"call_echo_object", `call a@127.0.0.1 kith.echo {"k":[1,"two",null,true,1.5]}`, `{"k":\[1,"two",null,true,1\.5\]}\n`, "", 0},
		{"call_info", "call a@127.0.0.1 kith.info", `{.*"name":"a@127.0.0.1".*}\n`, "", 0},
		{"call_no_function", "call a@127.0.0.1 no.such", ``, "", 1},
		{"call_no_node", "call nobody@127.0.0.1 kith.echo", ``, "", 1},
		{"call_bad_argument", `call a@127.0.0.1 kith.sum "x"`, ``, "", 1},
		{"call_timeout", "call a@127.0.0.1 kith.sleep 60000 --timeout 200ms", ``, "", 1},
		{
			"multicall", "multicall kith.sum 1 2",
			`a@127.0.0.1 ok 3\nalice@127.0.0.1 ok 3\nb@127.0.0.1 ok 3\n`, `\[{"node":"a@127.0.0.1","status":"ok","result":3},.*\]`, 0,
		},
		{"multicall_some", "multicall kith.echo 1 --nodes b,a", `b@127.0.0.1 ok 1\na@127.0.0.1 ok 1\n|a@127.0.0.1 ok 1\nb@127.0.0.1 ok 1\n`, "", 0},
		{"multicall_error", "multicall no.such --nodes a", `a@127.0.0.1 error \S+ .+\n`, "", 1},
		{"cast", "cast a@127.0.0.1 kith.echo 1", ``, "", 0},
		{"groups", "groups --scope chat", `(?s).*lobby\n`, `\[.*{"group":"lobby"}\]`, 0},
		{"groups_none", "groups", ``, `\[\]`, 0},
		{"members", "members lobby --scope chat", `\S+ alice@127.0.0.1\n`, `\[{"pid":"\S+","node":"alice@127.0.0.1"}\]`, 0},
		{"members_none", "members nobody --scope chat", ``, `\[\]`, 0},
		{"broadcast", "broadcast lobby hello --scope chat", `sent to 1 members on 1 nodes\n`, `{"members":1,"nodes":1}`, 0},
		{"broadcast_to_nobody", "broadcast nobody hello", `sent to 0 members on 0 nodes\n`, `{"members":0,"nodes":0}`, 0},
		{"doctor", "doctor", `(?s).*a@127.0.0.1.*`, `{"nodes":\[{.*}\],"problems":\[\]}`, 0},
		{"version", "version", `(?s).*nats.*`, `{"version":".+"}`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := &mesh{t: t, dir: m.dir}
			r := m.kith(strings.Split(c.args, " ")...)
			if r.code != c.code || !regexp.MustCompile(`^(?:`+c.text+`)$`).MatchString(r.out) {
				t.Errorf("status %d, out %q, err %q", r.code, r.out, r.err)
			}
			if (r.code != 0) != strings.HasPrefix(lastLine(r.err), "error: ") || r.code == 0 && r.err != "" {
				t.Errorf("status %d with stderr %q", r.code, r.err)
			}
			if c.json == "" {
				return
			}
			r = m.kith(append(strings.Split(c.args, " "), "-o", "json")...)
			var v any
			if err := json.Unmarshal([]byte(r.out), &v); err != nil || r.code != c.code {
				t.Fatalf("-o json: status %d, %q, %q: %v", r.code, r.out, r.err, err)
			}
			if got := strings.Join(strings.Fields(r.out), ""); !regexp.MustCompile(`^(?:` + c.json + `)$`).MatchString(got) {
				t.Errorf("-o json: %s", got)
			}
		})
	}
	alice.say("unharmed")
	alice.line("[lobby] alice: unharmed")
	alice.never(`node up|hello`)
}

// TestWatch follows nodes that come, leave, are killed, and are stopped by command.
func TestWatch(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.node("a")
	watch := m.run("watch", "watch")
	watch.line("nodeup a@127.0.0.1")
	b := m.node("b")
	watch.line("nodeup b@127.0.0.1")
	b.kill()
	watch.line("nodedown b@127.0.0.1 connection_closed")
	m.node("c")
	watch.line("nodeup c@127.0.0.1")
	if out := m.ok("stop", "c@127.0.0.1"); out != "stopped c@127.0.0.1\n" {
		t.Errorf("stop prints %q", out)
	}
	watch.line("nodedown c@127.0.0.1 shutdown")
	a.signal(os.Interrupt)
	a.exit(0)
	watch.line("nodedown a@127.0.0.1 shutdown")
	watch.signal(os.Interrupt)
	watch.exit(0)
}

// TestNobodyThere: with no mesh the questions fail with a reason, and quickly.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	for _, args := range []string{"nodes", "groups", "members g", "broadcast g x", "multicall kith.echo", "call a kith.echo", "ping a", "stop a"} {
		start := time.Now()
		r := m.kith(strings.Fields(args)...)
		if r.code != 1 || !strings.HasPrefix(lastLine(r.err), "error: ") {
			t.Errorf("%s: status %d, out %q, err %q", args, r.code, r.out, r.err)
		}
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("%s took %v", args, took)
		}
	}
	if r := m.kith("names"); r.code != 0 || r.out != "" {
		t.Errorf("names: status %d, out %q, err %q", r.code, r.out, r.err)
	}
}

// TestFrozenNode: no command waits for a frozen node, but for what asks that node itself.
func TestFrozenNode(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.node("a")
	frozen := m.node("b")
	frozen.freeze()
	for _, args := range []string{"names", "nodes", "groups", "ping a", "call a kith.echo 1"} {
		start := time.Now()
		m.ok(strings.Fields(args)...)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s took %v", args, took)
		}
	}
	if r := m.kith("ping", "b"); r.code != 1 || r.out != "pang\n" {
		t.Errorf("ping of a frozen node: status %d, out %q", r.code, r.out)
	}
}

// TestBadInput: who is at fault is told so, with the status that the contract says.
func TestBadInput(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	node := m.node("good")
	ready := node.out.all()[0]
	port := ready[strings.LastIndexByte(ready, ' ')+1:]
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	long := strings.Repeat("x", 65)
	for _, c := range []struct {
		name string
		args []string
		env  []string
		code int
		says string // what the error must name
	}{
		{"command", []string{"frobnicate"}, nil, 2, "frobnicate"},
		{"flag", []string{"nodes", "--frobnicate"}, nil, 2, "frobnicate"},
		{"missing_argument", []string{"ping"}, nil, 2, ""},
		{"surplus_argument", []string{"nodes", "x"}, nil, 2, ""},
		{"node_name_space", []string{"node", "--name", "a b"}, nil, 2, "a b"},
		{"node_name_dot", []string{"node", "--name", "a.b"}, nil, 2, "a.b"},
		{"node_name_long", []string{"node", "--name", long}, nil, 2, long},
		{"node_name_empty_host", []string{"node", "--name", "a@"}, nil, 2, "a@"},
		{"node_name_wildcard", []string{"ping", "a*@127.0.0.1"}, nil, 2, "a*"},
		{"nick_space", []string{"chat", "--nick", "a b"}, nil, 2, "a b"},
		{"nick_bracket", []string{"chat", "--nick", "[x]"}, nil, 2, "[x]"},
		{"nick_slash", []string{"chat", "--nick", "/x"}, nil, 2, "/x"},
		{"nick_control", []string{"chat", "--nick", "a\x1b[31m"}, nil, 2, `\x1b`},
		{"nick_long", []string{"chat", "--nick", strings.Repeat("n", 33)}, nil, 2, "32"},
		{"room", []string{"chat", "--nick", "x", "--room", "a room"}, nil, 2, "a room"},
		{"function_name", []string{"call", "good", "kith echo"}, nil, 2, "kith echo"},
		{"function_wildcard", []string{"call", "good", "kith.>"}, nil, 2, "kith.>"},
		{"json", []string{"call", "good", "kith.echo", "{"}, nil, 2, ""},
		{"group_empty", []string{"members", ""}, nil, 2, "group"},
		{"group_long", []string{"members", strings.Repeat("g", 256)}, nil, 2, "255"},
		{"scope_long", []string{"groups", "--scope", strings.Repeat("s", 256)}, nil, 2, "scope"},
		{"tick", []string{"node", "--tick", "soon"}, nil, 2, "soon"},
		{"tick_negative", []string{"node", "--tick", "-1s"}, nil, 2, "tick"},
		{"output", []string{"nodes", "-o", "xml"}, nil, 2, "xml"},
		{"log_level", []string{"node", "--log-level", "loud"}, nil, 2, "loud"},
		{"cookie_short", []string{"node", "--cookie", "short"}, nil, 2, "16"},
		{"listen", []string{"node", "--cluster-listen", "nowhere"}, nil, 2, "nowhere"},
		{"join", []string{"node", "--join", "host-without-port"}, nil, 2, "host-without-port"},
		{"discover", []string{"node", "--discover", "magic"}, nil, 2, "magic"},
		{"environment", []string{"node"}, []string{"KITH_TICK=often"}, 2, "often"},
		{"config_typo", []string{"node", "--config", write("typo.yaml", "tikc: 1s\n")}, nil, 2, "tikc"},
		{"config_value", []string{"node", "--config", write("value.toml", "tick = \"often\"\n")}, nil, 2, "often"},
		{"config_broken", []string{"node", "--config", write("broken.yaml", "a: [\n")}, nil, 2, "broken.yaml"},
		{"config_absent", []string{"node", "--config", "/no/such/file.yaml"}, nil, 2, "/no/such/file.yaml"},
		{"port_in_use", []string{"node", "--name", "late", "--cluster-listen", port}, nil, 1, port},
		{"no_node", []string{"call", "nobody", "kith.echo"}, nil, 1, "nobody@127.0.0.1"},
		{"no_function", []string{"call", "good", "no.such"}, nil, 1, "no.such"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := &mesh{t: t, dir: m.dir}
			r := m.kithIn("", c.env, c.args...)
			last := lastLine(r.err)
			if r.code != c.code || r.out != "" || !strings.HasPrefix(last, "error: ") || !strings.Contains(last, c.says) {
				t.Errorf("status %d, want %d; out %q, err %q", r.code, c.code, r.out, r.err)
			}
		})
	}
	t.Cleanup(func() { // when the parallel ones are done
		if !node.running() {
			t.Error("the node did not survive bad input")
		}
	})
}

// TestHelp: every command shows an example.
func TestHelp(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	for _, c := range strings.Fields("node names nodes watch doctor ping call multicall cast groups members broadcast stop chat version") {
		if out := m.ok(c, "--help"); !strings.Contains(out, "kith "+c) || !strings.Contains(out, "Examples:") {
			t.Errorf("kith %s --help: %s", c, out)
		}
	}
}
