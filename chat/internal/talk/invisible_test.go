package talk

import "testing"

func TestInvisibleNames(t *testing.T) {
	for _, s := range []string{
		"bob\ufe0f", "\u3164", "\u0301", "\u0301bob", "bo\u200bb", "bo\u200db", "bo\u034fb", "\u115f", "\uffa0", "\u17b4", "\u2800",
		"bob\U000e0100", "bob\U000e0041", "bo\u00adb", "bob\u061c", "bob\u180b",
	} {
		if CheckName(s) == nil {
			t.Errorf("%+q may be a name", s)
		}
	}
	for _, s := range []string{"bob", "jose\u0301", "漢字", "नमस्ते", "한글", "👩", "@bob", "a/b"} {
		if err := CheckName(s); err != nil {
			t.Errorf("%+q: %v", s, err)
		}
	}
}

func TestEscapeInvisible(t *testing.T) {
	for s, want := range map[string]string{
		"a\u200bb":        `a\u200bb`,
		"a\u200eb\u200f":  `a\u200eb\u200f`,
		"a\u061cb":        `a\u061cb`,
		"a\u00adb":        `a\xadb`,
		"a\u3164b":        `a\u3164b`,
		"a\u2060\u2800":   `a\u2060\u2800`,
		"a\U000e0041":     `a\U000e0041`,
		"a\U000e0100":     `a\U000e0100`,
		"👩\u200d👩\u200d👧": "👩\u200d👩\u200d👧",
		"❤\ufe0f":         "❤\ufe0f",
		"می\u200cخواهم":   "می\u200cخواهم",
		"\u06dd١":         "\u06dd١",
		"e\u0301":         "e\u0301",
	} {
		if got := Escape(s); got != want {
			t.Errorf("%+q becomes %+q, want %+q", s, got, want)
		}
	}
}
