package talk

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxName is the length of a nick or a room in characters.
	MaxName = 32
	// MaxText is the length of a message in bytes.
	MaxText = 4096
	// MaxRooms is how many rooms one user may be in.
	MaxRooms = 200
)

// ErrBadName is returned for a nick or a room that is not 1 to 32 printable characters without space, [ and ], or that
// begins with / or with a mark that would sit on what stands before the name. What is not seen is not printable: two names
// that look the same would be two users.
var ErrBadName = errors.New("bad name")

// CheckName returns nil when s may be a nick or a room, or else an ErrBadName that says what is wrong with it.
func CheckName(s string) error {
	n := utf8.RuneCountInString(s)
	switch {
	case n == 0:
		return fmt.Errorf("%w: it is empty", ErrBadName)
	case n > MaxName:
		return fmt.Errorf("%w: %d characters, at most %d are allowed", ErrBadName, n, MaxName)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w %q: not UTF-8", ErrBadName, s)
	case s[0] == '/':
		return fmt.Errorf("%w %q: it begins with /", ErrBadName, s)
	}
	for i, r := range s {
		if r == '[' || r == ']' || unicode.IsSpace(r) || !unicode.IsPrint(r) || invisible(r) || i == 0 && unicode.IsMark(r) {
			return fmt.Errorf("%w %q: %q is not allowed", ErrBadName, s, r)
		}
	}
	return nil
}

// Suggest returns a nick like the given one that taken does not hold: the nick with the smallest number behind it,
// from 2 on, shortened where it would become too long.
func Suggest(nick string, taken func(string) bool) string {
	base := strings.TrimRight(nick, "0123456789")
	if base == "" {
		base = nick
	}
	for i := 2; ; i++ {
		suffix := strconv.Itoa(i)
		runes := []rune(base)
		if over := len(runes) + len(suffix) - MaxName; over > 0 {
			runes = runes[:len(runes)-over]
		}
		if s := string(runes) + suffix; !taken(s) {
			return s
		}
	}
}
