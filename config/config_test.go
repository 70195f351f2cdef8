package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// load runs Load as a command does: in an environment with exactly the given variables, with the given arguments.
func load(t *testing.T, env map[string]string, args ...string) (Config, error) {
	t.Helper()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, envPrefix) {
			t.Setenv(name, "")
		}
	}
	t.Setenv("XDG_STATE_HOME", "/state")
	for name, value := range env {
		t.Setenv(name, value)
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(fs, CommonFlags, ChatFlags, ScopeFlag, NodesFlag, TimeoutFlag, OutputFlag, BenchFlags)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(fs)
}

// write makes a configuration file and returns its path.
func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefault(t *testing.T) {
	c, err := load(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Mesh != "kith" || c.ClusterListen != "127.0.0.1:0" || !slices.Equal(c.Discover, []string{"local"}) ||
		c.Mode != ModeEmbedded || c.Tick != time.Second || c.LogFormat != "console" || c.Scope != "pg" ||
		c.Output != OutputText || c.DataDir != "/state/kith" {
		t.Errorf("got %+v", c)
	}
	for i := range keys {
		if k := &keys[i]; k.def != "" {
			if err := k.field(&c).set(k.split(k.def)); err != nil {
				t.Errorf("the default of %s: it %v", k.name, err)
			}
		}
	}
	d := Default()
	if err := d.Validate(); err != nil {
		t.Errorf("Default: %v", err)
	}
}

func TestPrecedence(t *testing.T) {
	yaml := "mesh: file\ntick: 2s\njoin: [a:1, b:2]\nhidden: true\n"
	toml := "mesh = \"file\"\ntick = \"2s\"\njoin = [\"a:1\", \"b:2\"]\nhidden = true\n"
	for name, content := range map[string]string{"kith.yaml": yaml, "kith.yml": yaml, "kith.toml": toml} {
		t.Run(name, func(t *testing.T) {
			path := write(t, name, content)
			env := map[string]string{"KITH_MESH": "env", "KITH_CONFIG": path}
			tests := []struct {
				title string
				env   map[string]string
				args  []string
				mesh  string
			}{
				{"file", nil, []string{"--config", path}, "file"},
				{"file_named_by_the_environment", map[string]string{"KITH_CONFIG": path}, nil, "file"},
				{"environment", env, nil, "env"},
				{"flag", env, []string{"--mesh", "flag"}, "flag"},
				{"empty_variable_is_none", map[string]string{"KITH_CONFIG": path, "KITH_MESH": ""}, nil, "file"},
			}
			for _, tt := range tests {
				t.Run(tt.title, func(t *testing.T) {
					c, err := load(t, tt.env, tt.args...)
					if err != nil {
						t.Fatal(err)
					}
					if c.Mesh != tt.mesh || c.Tick != 2*time.Second || !c.Hidden || !slices.Equal(c.Join, []string{"a:1", "b:2"}) {
						t.Errorf("got %+v", c)
					}
				})
			}
		})
	}
}

// TestEveryKeyEverywhere sets each key in turn by flag, by variable and in both kinds of files.
func TestEveryKeyEverywhere(t *testing.T) {
	samples := map[string]string{
		"name": "a@[::1]", "mesh": "m", "cookie": "0123456789abcdef", "cookie-file": "/c", "cluster-listen": "h:1-2",
		"advertise": "h:3", "join": "h:4,[::1]:5", "discover": "", "mode": "embedded", "leaf-listen": "h:0",
		"servers": "nats://h:1,h:2", "client-listen": "h:0", "store": "a=h:1,b=h:2,c=h:3", "tick": "250ms", "hidden": "true",
		"log-level": "debug", "log-format": "json", "data-dir": "/d", "nick": "ann", "room": "r", "plain": "true",
		"scope": "s", "nodes": "a,b@h", "timeout": "3s", "output": "json", "tls": "false", "quick": "true", "peer-cookies": "/p",
		"certificate": "/crt", "certificate-key": "/key", "certificate-roots": "/roots", "client-users": "/u",
		"permit": "refuse web-* call,allow * any",
	}
	for i := range keys {
		k := &keys[i]
		if k.name == "config" {
			continue
		}
		sample, ok := samples[k.name]
		if !ok {
			t.Errorf("no sample for %s", k.name)
		}
		if k.name == "discover" {
			sample = "local,multicast"
		}
		check := func(t *testing.T, env map[string]string, args ...string) {
			t.Helper()
			if k.name == "servers" {
				args = append(args, "--mode", "external")
			}
			if k.name == "client-users" {
				args = append(args, "--client-listen", "h:1")
			}
			if strings.HasPrefix(k.name, "certificate") {
				for _, other := range []string{"certificate", "certificate-key", "certificate-roots"} {
					if other != k.name {
						args = append(args, "--"+other, "/f")
					}
				}
			}
			c, err := load(t, env, args...)
			if err != nil {
				t.Fatal(err)
			}
			want := sample
			if sample == "false" { // which is written as nothing
				want = ""
			}
			if got := strings.Join(k.field(&c).words(), ","); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
		t.Run(k.name, func(t *testing.T) {
			t.Run("flag", func(t *testing.T) { check(t, nil, "--"+k.name+"="+sample) })
			t.Run("env", func(t *testing.T) { check(t, map[string]string{k.env(): sample}) })
			t.Run("yaml", func(t *testing.T) {
				check(t, nil, "--config", write(t, "c.yaml", fmt.Sprintf("%s: %q\n", k.name, sample)))
			})
			t.Run("toml", func(t *testing.T) {
				check(t, nil, "--config", write(t, "c.toml", fmt.Sprintf("%s = %q\n", k.name, sample)))
			})
		})
	}
}

func TestBadValues(t *testing.T) {
	tests := []struct {
		title, file, content string
		env                  map[string]string
		args                 []string
		want                 []string // parts of the error
	}{
		{title: "flag", args: []string{"--tick", "soon"}, want: []string{`"soon"`, "flag --tick", "no duration", "10ms"}},
		{title: "flag_out_of_range", args: []string{"--tick", "1ms"}, want: []string{`"1ms"`, "tick", "out of range", "10ms"}},
		{title: "flag_truth", args: []string{"--hidden=maybe"}, want: []string{`"maybe"`, "hidden", "true, false"}},
		{title: "flag_choice", args: []string{"--mode", "sideways"}, want: []string{`"sideways"`, "embedded, leaf, external"}},
		{title: "flag_empty", args: []string{"--name", ""}, want: []string{`""`, "flag --name", "empty"}},
		{title: "name", args: []string{"--name", "a b"}, want: []string{`"a b"`, `' '`, "1 to 64 letters"}},
		{title: "name_host", args: []string{"--name", "a@::1"}, want: []string{"brackets"}},
		{title: "list_item", args: []string{"--join", "a:1,b"}, want: []string{`"a:1,b"`, `"b"`, ":PORT"}},
		{title: "repeated_flag", args: []string{"--join", "a:1", "--join", "b"}, want: []string{`"a:1,b"`}},
		{title: "many_ports", args: []string{"--cluster-listen", "127.0.0.1:1-65535"}, want: []string{"65535 ports", "1000"}},
		{title: "ports", args: []string{"--cluster-listen", "h:9-5"}, want: []string{"backwards", "FROM-TO"}},
		{title: "advertise_everywhere", args: []string{"--advertise", "0.0.0.0:7000"}, want: []string{"flag --advertise", "others can dial"}},
		{title: "client_range", args: []string{"--client-listen", "h:1-5"}, want: []string{"range of ports"}},
		{title: "store_of_two", args: []string{"--store", "a=h:1,b=h:2"}, want: []string{"2 nodes", "3 or 5"}},
		{title: "store_twice", args: []string{"--store", "a=h:1,a=h:2,b=h:3"}, want: []string{"twice"}},
		{title: "leaf_without_servers", args: []string{"--mode", "leaf"}, want: []string{"--servers"}},
		{title: "servers_without_leaf", args: []string{"--servers", "h:1"}, want: []string{"leaf and external"}},
		{title: "half_a_certificate", args: []string{"--certificate", "/c", "--certificate-key", "/k"}, want: []string{"certificate", "go together"}},
		{title: "certificate_and_peers", args: []string{"--certificate", "/c", "--certificate-key", "/k", "--certificate-roots", "/r", "--peer-cookies", "/p"}, want: []string{"peer-cookies", "takes the place"}},
		{title: "users_without_port", args: []string{"--client-users", "/u"}, want: []string{"client-users", "--client-listen"}},
		{title: "server_scheme", args: []string{"--mode", "leaf", "--servers", "http://h:1"}, want: []string{`"http"`, "nats://"}},
		{title: "env", env: map[string]string{"KITH_TICK": "0"}, want: []string{`"0"`, "environment variable KITH_TICK", "10ms"}},
		{title: "env_typo", env: map[string]string{"KITH_MEHS": "x"}, want: []string{`"KITH_MEHS"`, `"x"`, "did you mean KITH_MESH?", "KITH_TICK"}},
		{title: "yaml_value", file: "k.yaml", content: "mesh: m\n\ntick: often\n", want: []string{`"often"`, "k.yaml:3", "10ms"}},
		{title: "yaml_number", file: "k.yaml", content: "tick: 5\n", want: []string{`"5"`, "without a unit", "10ms"}},
		{title: "yaml_unquoted", file: "k.yaml", content: "mesh: 5\n", want: []string{`"5"`, "quotes"}},
		{title: "yaml_null", file: "k.yaml", content: "mesh:\n", want: []string{"mesh", "k.yaml:1", "missing"}},
		{title: "yaml_table", file: "k.yaml", content: "mesh:\n  name: x\n", want: []string{"mesh", "table"}},
		{title: "yaml_list", file: "k.yaml", content: "mesh: [a, b]\n", want: []string{"mesh", "is a list"}},
		{title: "yaml_typo", file: "k.yaml", content: "# here\nmehs: x\n", want: []string{`"mehs"`, `"x"`, "k.yaml:2", "did you mean mesh?", "allowed: name, mesh"}},
		{title: "yaml_unknown", file: "k.yaml", content: "colour: red\n", want: []string{`"colour"`, `"red"`, "k.yaml:1", "allowed: name, mesh"}},
		{title: "yaml_unknown_empty", file: "k.yaml", content: "colour:\n", want: []string{`"colour"`, "k.yaml:1"}},
		{title: "yaml_unknown_table", file: "k.yaml", content: "colour:\n  deep: x\n", want: []string{`"colour"`, "k.yaml:1"}},
		{title: "yaml_twice", file: "k.yaml", content: "mesh: a\nmesh: b\n", want: []string{"line 2", "already defined"}},
		{title: "yaml_config", file: "k.yaml", content: "config: other.yaml\n", want: []string{"k.yaml:1", "file itself"}},
		{title: "yaml_broken", file: "k.yaml", content: "mesh: [\n", want: []string{"k.yaml", "line 1"}},
		{title: "toml_value", file: "k.toml", content: "mesh = \"m\"\nhidden = \"maybe\"\n", want: []string{`"maybe"`, "k.toml:2", "true, false"}},
		{title: "toml_typo", file: "k.toml", content: "jion = [\"a:1\"]\n", want: []string{`"jion"`, "k.toml:1", "did you mean join?"}},
		{title: "toml_table", file: "k.toml", content: "[mesh]\nname = \"x\"\n", want: []string{"mesh", "k.toml:1", "table"}},
		{title: "toml_unknown_table", file: "k.toml", content: "\n[chat]\nnick = \"x\"\n", want: []string{`"chat"`, "k.toml:2"}},
		{title: "toml_broken", file: "k.toml", content: "mesh = \n", want: []string{"k.toml", "cannot be understood"}},
		{title: "ending", file: "k.ini", content: "", want: []string{`".ini"`, ".yaml", ".toml"}},
		{title: "no_file", args: []string{"--config", "/nowhere/k.yaml"}, want: []string{"/nowhere/k.yaml", "flag --config", "no such file"}},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			if tt.file != "" {
				tt.args = append(tt.args, "--config", write(t, tt.file, tt.content))
			}
			_, err := load(t, tt.env, tt.args...)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is missing in: %v", part, err)
				}
			}
			if strings.Contains(err.Error(), "\n") && !strings.Contains(tt.title, "broken") && tt.title != "yaml_twice" {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	const secret = "hush-hush-hush-hush"
	c, err := load(t, map[string]string{"KITH_COOKIE": secret})
	if err != nil {
		t.Fatal(err)
	}
	if string(c.Cookie) != secret {
		t.Errorf("got %q", string(c.Cookie))
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%q", c.Cookie), string(asJSON)} {
		if strings.Contains(printed, "hush") {
			t.Errorf("printed: %s", printed)
		}
	}
	leaks := []struct {
		title string
		env   map[string]string
		args  []string
	}{
		{"short_flag", nil, []string{"--cookie", "hush"}},
		{"short_env", map[string]string{"KITH_COOKIE": "hush"}, nil},
		{"typo_env", map[string]string{"KITH_COKIE": secret}, nil},
		{"short_yaml", nil, []string{"--config", write(t, "k.yaml", "cookie: hush\n")}},
		{"typo_yaml", nil, []string{"--config", write(t, "k.yaml", "cokie: "+secret+"\n")}},
		{"other_word_yaml", nil, []string{"--config", write(t, "k.yaml", "password: "+secret+"\n")}},
		{"number_yaml", nil, []string{"--config", write(t, "k.yaml", "cookie: [hush]\n")}},
		{"server_no_url", nil, []string{"--mode", "external", "--servers", "nats://u:hush%zz@h"}},
		{"server_no_scheme", nil, []string{"--mode", "external", "--servers", "u:hush@h:x"}},
		{"server_scheme", nil, []string{"--mode", "external", "--servers", "http://u:hush@h:1"}},
		{"servers_alone", nil, []string{"--servers", "nats://u:hush@h:1,nats://u:hush@i:1"}},
		{"servers_of_a_leaf", nil, []string{"--mode", "leaf", "--servers", "nats://u:hush@h:1"}},
		{"typo_servers", map[string]string{"KITH_SERVRES": "u:hush@h:1"}, nil},
		{"typo_servers_yaml", nil, []string{"--config", write(t, "k.yaml", "serves: [\"nats://u:hush@h:1\"]\n")}},
		{"other_url_yaml", nil, []string{"--config", write(t, "k.yaml", "upstream: \"nats://u:hush@h:1\"\n")}},
		{"both_flags", nil, []string{"--cookie", secret, "--cookie-file", "/c"}},
	}
	for _, tt := range leaks {
		t.Run(tt.title, func(t *testing.T) {
			_, err := load(t, tt.env, tt.args...)
			if err == nil || strings.Contains(err.Error(), "hush") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestNearerCookie: a cookie given nearer to the user replaces a cookie file from further away, and the reverse.
func TestNearerCookie(t *testing.T) {
	c, err := load(t, map[string]string{"KITH_COOKIE_FILE": "/c"}, "--cookie", "0123456789abcdef")
	if err != nil || c.CookieFile != "" || c.Cookie == "" {
		t.Errorf("got %+v, %v", c, err)
	}
	c, err = load(t, map[string]string{"KITH_COOKIE": "0123456789abcdef"}, "--cookie-file", "/c")
	if err != nil || c.CookieFile != "/c" || c.Cookie != "" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestForeignVariables(t *testing.T) {
	c, err := load(t, map[string]string{
		"KITH_SERVICE_HOST": "10.0.0.1", "KITH_PORT": "tcp://10.0.0.1:4222", "KITH_PORT_4222_TCP_ADDR": "10.0.0.1",
		"KITH_NODES_SERVICE_PORT_CLIENT": "1", "KITH_TEST_ANYTHING": "1",
	})
	if err != nil || len(c.Warnings) != 0 {
		t.Errorf("got %v, %v", c.Warnings, err)
	}
	c, err = load(t, map[string]string{"KITH_SOMETHING_ELSE": "1"})
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "KITH_SOMETHING_ELSE") {
		t.Errorf("got %v, %v", c.Warnings, err)
	}
}

func TestPaths(t *testing.T) {
	t.Chdir(t.TempDir())
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c, err := load(t, nil, "--data-dir", "d", "--cookie-file", "c")
	if err != nil || c.DataDir != filepath.Join(here, "d") || c.CookieFile != filepath.Join(here, "c") {
		t.Errorf("got %q, %q, %v", c.DataDir, c.CookieFile, err)
	}
	t.Setenv("HOME", "/home/ann")
	t.Setenv("XDG_STATE_HOME", "relative/is/ignored")
	if dir, err := stateDir(); err != nil || dir != "/home/ann/.local/state/kith" {
		t.Errorf("got %q, %v", dir, err)
	}
	t.Setenv("HOME", "")
	if _, err := Load(nil); err == nil || !strings.Contains(err.Error(), "data-dir") {
		t.Errorf("without a home: %v", err)
	}
}

func TestWarnsOfOpenFileWithCookie(t *testing.T) {
	path := write(t, "k.yaml", "cookie: 0123456789abcdef\n")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := load(t, nil, "--config", path)
	if err != nil || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "chmod 600") {
		t.Errorf("got %v, %v", c.Warnings, err)
	}
}

func TestValidate(t *testing.T) {
	bad := map[string]func(*Config){
		"name":    func(c *Config) { c.Name = "a b" },
		"mode":    func(c *Config) { c.Mode = "sideways" },
		"tick":    func(c *Config) { c.Tick = time.Nanosecond },
		"store":   func(c *Config) { c.Store = []StoreNode{{"a", "h:1"}} },
		"servers": func(c *Config) { c.Servers = []string{"h:1"} },
		"cookie":  func(c *Config) { c.Cookie = "short" },
	}
	for name, change := range bad {
		c := Default()
		change(&c)
		var e *Error
		if err := c.Validate(); !errors.As(err, &e) || e.Key != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := new(Config).Validate(); err != nil {
		t.Errorf("zero value: %v", err)
	}
}

func TestReject(t *testing.T) {
	c, err := load(t, map[string]string{"KITH_DISCOVER": "telepathy"})
	if err != nil {
		t.Fatal(err)
	}
	sentinel := errors.New("has no such strategy")
	err = c.Reject("discover", sentinel)
	want := `bad value "telepathy" for discover (environment variable KITH_DISCOVER): has no such strategy; ` +
		`allowed: a list of local, static:HOST:PORT, hosts:FILE, gossip, dns:NAME:PORT, dnssrv:NAME, none`
	if !errors.Is(err, sentinel) || err.Error() != want {
		t.Errorf("got %v", err)
	}
}
