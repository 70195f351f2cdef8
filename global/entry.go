package global

import (
	"fmt"
	"maps"
	"slices"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
	"github.com/kith-mesh/kith/quorum"
)

// Limits of what a registration may be.
const (
	// MaxName is the greatest length of a name, in bytes. The least is 1; the bytes may be any.
	MaxName = 255
	// MaxMeta is the greatest size of the metadata of one name: the sum of its keys and values, in bytes.
	MaxMeta = 4096
)

// Meta is what a registration says of itself: a few words that everybody who looks at names sees. A Meta that was given
// to or taken from this package must not be changed.
type Meta map[string]string

func (m Meta) check() error {
	size := 0
	for k, v := range m {
		size += len(k) + len(v)
	}
	if size > MaxMeta || len(m) > MaxMeta {
		return fmt.Errorf("%w: metadata of %d bytes, %d are allowed", ErrBadArgument, size, MaxMeta)
	}
	return nil
}

// sortedKeys gives frames one form for equal metadata.
func (m Meta) sortedKeys() []string { return slices.Sorted(maps.Keys(m)) }

// Entry is one registration.
type Entry struct {
	Name string
	// PID is the process that has the name.
	PID process.PID
	// Meta is its metadata, nil if it has none. It must not be changed.
	Meta Meta
	// Version is greater than that of every registration of the name that this one follows. It stays when the metadata
	// changes.
	Version Version
	// Resolver is what decides when the name has two processes after a partition.
	Resolver string
}

// entry is a registration in the table. It is replaced, never changed, but for the fields below the line.
type entry struct {
	// What a reader looks at stands together.
	own  bool         // it is one of this node, set when readers first see it
	life process.Life // of the process of an own entry
	Entry

	// moved: the registration took the name over from whoever had it (ReRegister), and so stands before what is older.
	moved bool
	// provisional: it was told before all had agreed. It is of use only while it is so at its owner.
	provisional bool

	claim *claim        // of an own entry that not all have agreed to yet
	lease *quorum.Lease // of an own entry in quorum mode
}

// same says that nothing which readers see differs.
func (e *entry) same(o *entry) bool {
	return e.PID == o.PID && e.Version == o.Version && maps.Equal(e.Meta, o.Meta)
}

func (e *entry) owner() node.ID { return e.PID.NodeID() }

// before orders the candidates of one name, the one to be shown first. All nodes order alike.
func (e *entry) before(o *entry) bool {
	c := e.Version.Compare(o.Version)
	switch {
	case e.moved && c > 0:
		return true
	case o.moved && c < 0:
		return false
	}
	return c < 0
}

func checkName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("%w: %d bytes, allowed are 1 to %d", ErrBadName, len(name), MaxName)
	}
	return nil
}
