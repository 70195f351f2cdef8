package address

import (
	"strings"
	"testing"
)

func TestParseNode(t *testing.T) {
	good := []string{
		"a@127.0.0.1", "Node_1-x@host", "a@host.example.org", "a@[::1]", "a@[fe80::1]", "a@my_host", "9@9.example",
		strings.Repeat("n", 64) + "@h",
	}
	for _, full := range good {
		if _, _, err := ParseNode(full); err != nil {
			t.Errorf("%s: %v", full, err)
		}
	}
	bad := []string{
		"", "a", "@", "a@", "@h", "a b@h", "ä@h", "a.b@h", "a@b@c", "a@h:1", "a@::1", "a@[::1", "a@[1.2.3.4]", "a@1.2.3",
		"a@256.0.0.1", "a@-h", "a@h-", "a@h..x", "a@h.", "a@[fe80::1%eth0]", "a@h/x", "a@*", "a@>", "a\n@h", "a@h\r\n",
		strings.Repeat("n", 65) + "@h", "a@" + strings.Repeat("h", 64), "a@" + strings.Repeat("h.", 127) + "h",
	}
	for _, full := range bad {
		if name, host, err := ParseNode(full); err == nil {
			t.Errorf("%q was taken as %q and %q", full, name, host)
		}
	}
}

func TestParseListen(t *testing.T) {
	good := map[string]Range{
		"127.0.0.1:0":       {"127.0.0.1", 0, 0},
		"host:7000-7010":    {"host", 7000, 7010},
		"[::1]:65535":       {"[::1]", 65535, 65535},
		":7000":             {"", 7000, 7000},
		"localhost:700-700": {"localhost", 700, 700},
	}
	for s, want := range good {
		if got, err := ParseListen(s); err != nil || got != want {
			t.Errorf("%s: got %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "host", "host:", "host:x", "host:-1", "host:65536", "host:10-9", "host:0-9", "host:1-", "::1:5", "[::1]", "a b:1"} {
		if got, err := ParseListen(s); err == nil {
			t.Errorf("%q was taken as %v", s, got)
		}
	}
}

func TestCheckDial(t *testing.T) {
	for _, s := range []string{"127.0.0.1:1", "[::1]:7000", "host.example:65535"} {
		if err := CheckDial(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{":7000", "host:0", "host:1-2", "host", "[::1]", "http://host:1"} {
		if CheckDial(s) == nil {
			t.Errorf("%q was taken", s)
		}
	}
}

func TestEverywhere(t *testing.T) {
	for _, s := range []string{":7000", "0.0.0.0:7000", "0.0.0.0:7000-7010", "[::]:7000", "[::ffff:0.0.0.0]:1"} {
		if !Everywhere(s) {
			t.Errorf("%s is taken for an address that others can dial", s)
		}
	}
	for _, s := range []string{"", "127.0.0.1:0", "10.0.0.0:1", "[::1]:7000", "host:1", "0.0.0.0"} {
		if Everywhere(s) {
			t.Errorf("%q is taken for every address", s)
		}
	}
}

// FuzzParseNode checks that what is taken has only bytes that a subject, a file name or a terminal can bear.
func FuzzParseNode(f *testing.F) {
	f.Add("a@[::1]")
	f.Add("a@h.x")
	f.Fuzz(func(t *testing.T, full string) {
		if _, _, err := ParseNode(full); err != nil {
			return
		}
		for _, r := range full {
			if !isAlnum(r) && !strings.ContainsRune("_-@.[]:", r) {
				t.Errorf("%q has %q", full, r)
			}
		}
	})
}
