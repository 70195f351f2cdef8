package rpc

import "fmt"

// maxName bounds the length of a function's name in bytes, so that a frame's head stays small.
const maxName = 255

// checkName says whether name is a function name: dot-separated parts of [A-Za-z0-9_-]+, at most 255 bytes in all.
func checkName(name string) error {
	if !validName(name) {
		return fmt.Errorf("%w: function name %q: want dot-separated [A-Za-z0-9_-]+ of at most %d bytes",
			ErrBadArgument, name, maxName)
	}
	return nil
}

func validName(name string) bool {
	if len(name) == 0 || len(name) > maxName {
		return false
	}
	part := false // whether the part since the last dot has a character
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
			part = true
		case c == '.' && part:
			part = false
		default:
			return false
		}
	}
	return part
}
