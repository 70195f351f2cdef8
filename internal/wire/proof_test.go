package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

func TestSigned(t *testing.T) {
	base := Control{Verb: Hello, From: Info{Name: "a@h", Incarnation: 1, Addr: "h:1"}, Conn: 7, Echo: 9}
	sum := func(c Control, mesh, to string, inc uint64) string {
		s := sha256.Sum256(c.Signed(mesh, to, inc))
		return hex.EncodeToString(s[:8])
	}
	change := func(f func(*Control)) Control { c := base; f(&c); return c }
	want := sum(base, "m", "b@h", 2)
	if want != "c293419eb84fc0f6" {
		t.Errorf("what is signed has changed: %s", want)
	}
	seen := map[string]string{want: "base"}
	for title, got := range map[string]string{
		"mesh":        sum(base, "n", "b@h", 2),
		"to":          sum(base, "m", "c@h", 2),
		"to_life":     sum(base, "m", "b@h", 3),
		"verb":        sum(change(func(c *Control) { c.Verb = Welcome }), "m", "b@h", 2),
		"name":        sum(change(func(c *Control) { c.From.Name = "c@h" }), "m", "b@h", 2),
		"life":        sum(change(func(c *Control) { c.From.Incarnation = 3 }), "m", "b@h", 2),
		"hidden":      sum(change(func(c *Control) { c.From.Hidden = true }), "m", "b@h", 2),
		"address":     sum(change(func(c *Control) { c.From.Addr = "h:2" }), "m", "b@h", 2),
		"session":     sum(change(func(c *Control) { c.Conn = 8 }), "m", "b@h", 2),
		"challenge":   sum(change(func(c *Control) { c.Echo = 8 }), "m", "b@h", 2),
		"other_split": sum(change(func(c *Control) { c.From.Name, c.From.Addr = "a@hh", ":1" }), "m", "b@h", 2),
	} {
		if other := seen[got]; other != "" {
			t.Errorf("%s and %s are signed alike", title, other)
		}
		seen[got] = title
	}
	same := change(func(c *Control) { c.Window, c.Prev = 5, 6 })
	if sum(same, "m", "b@h", 2) != want {
		t.Error("what is not signed counts")
	}
}
