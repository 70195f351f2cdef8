package discovery

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFileKey(t *testing.T) {
	for name, want := range map[string]string{
		"alice@127.0.0.1": "alice@127.0.0.1",
		"Alice@h":         "%41lice@h",
		"":                "%",
		"..":              "%2e%2e",
		".lock":           "%2elock",
		"a/../b":          "a%2f..%2fb",
		"a%b":             "a%25b",
		"é":               "%c3%a9",
	} {
		if got := fileKey(name); got != want {
			t.Errorf("fileKey(%q) = %q, want %q", name, got, want)
		}
	}
	long := strings.Repeat("a", 500)
	if a, b := fileKey(long+"b"), fileKey(long+"c"); a == b || len(a) > maxKey {
		t.Errorf("long names: %q and %q", a, b)
	}
}

func TestFileKey_tells_names_apart(t *testing.T) {
	name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-cA-C%~./@]{0,6}`), rapid.StringMatching(`[a-b]{190,300}`))
	rapid.Check(t, func(t *rapid.T) {
		a, b := name.Draw(t, "a"), name.Draw(t, "b")
		if a != b && strings.EqualFold(fileKey(a), fileKey(b)) {
			t.Fatalf("%q and %q share %q", a, b, fileKey(a))
		}
		if k := fileKey(a); len(k) > maxKey || strings.ContainsAny(k, "/\\:\x00") {
			t.Fatalf("bad key %q", k)
		}
	})
}
