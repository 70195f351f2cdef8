package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// maxKey is the longest file key in bytes; file systems allow 255 for a whole name, suffix included.
const maxKey = 200

// fileKey turns any name into a part of a file name: different names give different keys, also where the file system
// does not tell capitals from small letters. Small letters, digits, "@", "_", "-" and inner dots stay as they are, other
// bytes become %XX; what would be too long ends in a hash instead.
func fileKey(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		plain := 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '@' || c == '_' || c == '-' ||
			c == '.' && i > 0 && i < len(name)-1
		if plain {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	key := b.String()
	switch {
	case key == "":
		return "%"
	case len(key) > maxKey:
		sum := sha256.Sum256([]byte(name))
		// "%~" starts no escape, so that this cannot be the key of another name.
		return key[:maxKey-66] + "%~" + hex.EncodeToString(sum[:])
	}
	return key
}
