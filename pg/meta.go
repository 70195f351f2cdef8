package pg

import (
	"fmt"
	"maps"
	"slices"
)

// MaxMeta is the size that the metadata of one member may have: the sum of its keys and values, in bytes.
const MaxMeta = 4096

// Meta is what a member says of itself in a group: a few words, such as a nick or a version. Everyone who sees the
// member sees its metadata. A Meta that was given to or taken from this package must not be changed.
type Meta map[string]string

// check accepts metadata that is not too large.
func (m Meta) check() error {
	size := 0
	for k, v := range m {
		size += len(k) + len(v)
	}
	if size > MaxMeta || len(m) > MaxMeta {
		return fmt.Errorf("%w: %d bytes, %d are allowed", ErrMetaTooLarge, size, MaxMeta)
	}
	return nil
}

// clone keeps what the caller may go on to change apart from what the table holds.
func (m Meta) clone() Meta { return maps.Clone(m) }

func (m Meta) equal(o Meta) bool { return maps.Equal(m, o) }

// sortedKeys gives frames one form for equal metadata.
func (m Meta) sortedKeys() []string { return slices.Sorted(maps.Keys(m)) }
