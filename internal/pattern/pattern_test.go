package pattern

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMatch(t *testing.T) {
	rows := []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"a", "a", true}, {"a", "ab", false},
		{"a*", "a", true}, {"a*b", "a@b", true}, {"a*b", "abc", false}, {"*a*a*", "banana", true}, {"?", "ä", true},
		{"?", "", false}, {"??", "ä", false}, {"*@[::1]", "n@[::1]", true}, {"web-*@*", "web-1@10.0.0.1", true},
		{"kith.*", "kith", false}, {"**", "x", true}, {"*?", "", false}, {"a*", "\xff", false}, {"?", "\xff", true},
	}
	for _, row := range rows {
		if got := Match(row.pattern, row.name); got != row.want {
			t.Errorf("Match(%q, %q) = %v", row.pattern, row.name, got)
		}
	}
}

// TestMatchIsWhatTheExpressionSays compares with a regular expression that says the same.
func TestMatchIsWhatTheExpressionSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?ä€")), 0, 8, -1).Draw(t, "pattern")
		n := rapid.StringOfN(rapid.RuneFrom([]rune("abä€")), 0, 12, -1).Draw(t, "name")
		expr := strings.NewReplacer(`\*`, "(?s:.*)", `\?`, "(?s:.)").Replace(regexp.QuoteMeta(p))
		if want := regexp.MustCompile("^" + expr + "$").MatchString(n); Match(p, n) != want {
			t.Fatalf("Match(%q, %q) = %v", p, n, !want)
		}
	})
}
