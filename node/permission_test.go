package node_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kith-mesh/kith/node"
)

func rules(t *testing.T, lines ...string) []node.Rule {
	t.Helper()
	var list []node.Rule
	for _, s := range lines {
		r, err := node.ParseRule(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, r)
	}
	return list
}

func TestParseRule(t *testing.T) {
	for s, want := range map[string]node.Rule{
		"allow ops-*@* stop":            {Peer: "ops-*@*", Action: node.ActionStop},
		"refuse * any":                  {Refuse: true, Peer: "*"},
		"refuse  web-?@h  call admin.*": {Refuse: true, Peer: "web-?@h", Action: node.ActionCall, Target: "admin.*"},
		"refuse * join a room, any":     {Refuse: true, Peer: "*", Action: node.ActionJoin, Target: "a room, any"},
		"allow a@[::1] call":            {Peer: "a@[::1]", Action: node.ActionCall},
	} {
		got, err := node.ParseRule(s)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
		if again, err := node.ParseRule(got.String()); err != nil || again != got {
			t.Errorf("%q is written %q: %+v, %v", s, got, again, err)
		}
	}
	if s := (node.Rule{}).String(); s != "allow * any" {
		t.Errorf("the zero value is %q", s)
	}
	for _, s := range []string{"", "allow", "allow *", "deny * call", "allow * dance", "allow * stop now", "refuse * any x"} {
		if r, err := node.ParseRule(s); !errors.Is(err, node.ErrBadArgument) {
			t.Errorf("%q: %+v, %v", s, r, err)
		}
	}
	if _, err := tryStart(t, "a", func(c *node.Config) { c.Rules = []node.Rule{{Action: 99}} }); !errors.Is(err, node.ErrBadArgument) {
		t.Errorf("an action that is none: %v", err)
	}
}

func TestPermit(t *testing.T) {
	var log logs
	n := start(t, "a", log.into, func(c *node.Config) {
		c.Rules = rules(t, "allow ops@h stop", "refuse * stop", "allow * call kith.*", "refuse web-*@* call", "refuse web-*@* join private-*",
			"refuse guest@h any")
	})
	if !n.Guarded() || start(t, "b").Guarded() {
		t.Error("Guarded")
	}
	rows := []struct {
		peer   string
		action node.Action
		target string
		given  bool
	}{
		{"ops@h", node.ActionCall, "kith.stop", true},
		{"web-1@h", node.ActionCall, "kith.stop", false},
		{"web-1@h", node.ActionCall, "kith.echo", true},
		{"web-1@h", node.ActionCall, "greet", false},
		{"db-1@h", node.ActionCall, "greet", true},
		{"web-1@h", node.ActionJoin, "private-x", false},
		{"web-1@h", node.ActionJoin, "public", true},
		{"guest@h", node.ActionJoin, "public", false},
		{"guest@h", node.ActionCall, "greet", false},
		{n.Name(), node.ActionCall, "kith.stop", true},
	}
	refused := uint64(0)
	for range 3 {
		for _, row := range rows {
			err := n.Permit(row.peer, row.action, row.target)
			if row.given != (err == nil) || err != nil && !errors.Is(err, node.ErrRefused) {
				t.Errorf("%s, %v %s: %v", row.peer, row.action, row.target, err)
			}
			if err != nil {
				refused++
			}
		}
	}
	if got := n.Counters()["actions_refused"]; got != refused {
		t.Errorf("%d of %d refusals are counted", got, refused)
	}
	if got := strings.Count(log.String(), "refused by permission"); got != 5 {
		t.Errorf("%d lines for 5 refusals, three times each", got)
	}
}

// FuzzParseRule: what is read as a rule is written so that it reads the same again.
func FuzzParseRule(f *testing.F) {
	for _, s := range []string{"allow ops-*@* stop", "refuse * any", "refuse a@[::1] join a room", "allow  x\t call", "refuse * stop x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := node.ParseRule(s)
		if err != nil {
			if !errors.Is(err, node.ErrBadArgument) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if again, err := node.ParseRule(r.String()); err != nil || again != r {
			t.Errorf("%q is %+v, and written %q it is %+v, %v", s, r, r.String(), again, err)
		}
	})
}
