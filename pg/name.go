package pg

import (
	"fmt"
	"strings"
)

// MaxName is the length of the longest name of a scope or a group, in bytes. Names may hold any bytes.
const MaxName = 255

// key names a group, or a pattern, of one scope: the two live apart, so that a group may be called "sport.*".
type key struct {
	name    string
	pattern bool
}

// checkName accepts the names of scopes and groups.
func checkName(what, name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: %s has %d bytes, 1 to %d are allowed", ErrBadName, what, len(name), MaxName)
	}
	return nil
}

// checkPattern accepts a name made of dot-separated tokens, none of them empty, where "*" alone stands for any one
// token and ">" at the end for one token or more.
func checkPattern(pattern string) error {
	if err := checkName("pattern", pattern); err != nil {
		return err
	}
	tokens := strings.Split(pattern, ".")
	for i, t := range tokens {
		if t == "" {
			return fmt.Errorf("%w: pattern %q has an empty token", ErrBadName, pattern)
		}
		if t == ">" && i < len(tokens)-1 {
			return fmt.Errorf("%w: pattern %q has > before its end", ErrBadName, pattern)
		}
	}
	return nil
}

// check accepts the name of a key.
func (k key) check() error {
	if k.pattern {
		return checkPattern(k.name)
	}
	return checkName("group", k.name)
}

// topic is the subject of a group or a pattern in a scope. Each dot-separated token is written on its own, so that
// the wildcards of a pattern mean on the wire what they mean here. No two keys of the same kind share a topic.
func (k key) topic(scope string) string {
	buf := make([]byte, 0, len(scope)+len(k.name)+8)
	buf = append(buf, "g."...)
	buf = appendToken(buf, scope)
	rest, more := k.name, true
	for more {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		buf = append(buf, '.')
		if k.pattern && (token == "*" || token == ">") {
			buf = append(buf, token...)
			continue
		}
		buf = appendToken(buf, token)
	}
	return string(buf)
}

// appendToken writes any bytes as one subject token of [A-Za-z0-9_-]: what is not a letter, a digit or a hyphen
// becomes an underscore and two hexadecimal digits; the empty token is a lone underscore.
func appendToken(buf []byte, token string) []byte {
	const hex = "0123456789abcdef"
	if token == "" {
		return append(buf, '_')
	}
	for i := range len(token) {
		c := token[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
			buf = append(buf, c)
		default:
			buf = append(buf, '_', hex[c>>4], hex[c&15])
		}
	}
	return buf
}
