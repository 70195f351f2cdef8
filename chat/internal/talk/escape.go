package talk

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes text safe to write to a terminal on one line: control characters, line and paragraph separators, the
// characters that turn the direction of text around or are not seen, and bytes that are not UTF-8 come out as \n, \x1b,
// \u202e and the like. Everything else, joined emoji and combining characters included, stays as it is.
func Escape(s string) string {
	i := strings.IndexFunc(s, unsafeRune)
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	b.WriteString(s[:i])
	for i < len(s) {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == utf8.RuneError || !unsafeRune(r):
			b.WriteString(s[i : i+size])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

// unsafeRune says that a rune needs a second look: utf8.RuneError is here because it may stand for a bad byte.
func unsafeRune(r rune) bool {
	switch {
	case r >= 0x20 && r < 0x7f:
		return false
	case unicode.IsControl(r), r == 0x2028, r == 0x2029, r == 0xfeff:
		return true
	case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069: // embeddings, overrides, isolates
		return true
	case r == utf8.RuneError:
		return true
	case r == 0x200c, r == 0x200d, r >= 0xfe00 && r <= 0xfe0f: // joiners and selectors: emoji and many scripts are written with them
		return false
	}
	return invisible(r)
}

// invisible says that a rune shows nothing: those that Unicode has ignored by default, the tags among them, and the blanks
// that it counts as letters and symbols.
func invisible(r rune) bool {
	switch {
	case r < 0x80, unicode.Is(unicode.Prepended_Concatenation_Mark, r): // the latter are signs around digits
		return false
	case r == 0x2800: // braille without dots
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// validText makes a line of input valid UTF-8 by writing each bad byte as \xNN, since a message is text.
func validText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, `\x%02x`, s[i])
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}
