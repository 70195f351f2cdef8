package talk

import (
	"cmp"
	"fmt"
)

// ID is a user's process: one life of a node and a number in it. It is comparable; zero is nobody.
type ID struct {
	// Node is the name of the user's node.
	Node string
	// Incarnation is the life of that node.
	Incarnation uint64
	// Num is the process on that node.
	Num uint64
}

// String prints the ID for logs and tests.
func (id ID) String() string { return fmt.Sprintf("%s#%x.%d", id.Node, id.Incarnation, id.Num) }

// Compare orders IDs by node, incarnation and number. The order means nothing beyond being the same everywhere.
func (id ID) Compare(other ID) int {
	return cmp.Or(
		cmp.Compare(id.Node, other.Node),
		cmp.Compare(id.Incarnation, other.Incarnation),
		cmp.Compare(id.Num, other.Num),
	)
}

// User is what one user tells the others about itself.
type User struct {
	ID ID
	// Nick is the name to show. It obeys ValidNick, or the user is ignored.
	Nick string
	// Since is the version of the nick's registration: of two that hold one nick after a partition, the lesser keeps it.
	Since uint64
	// Rev grows when anything here changes, so that what came with an old message loses.
	Rev uint32
	// Away is why the user is away, empty while they are here.
	Away string
}

// Before says which of two users with one nick is shown under it until the registry has decided: the earlier
// registration, then the smaller ID. It is a strict order, the same on every node.
func (u User) Before(v User) bool {
	return cmp.Or(cmp.Compare(u.Since, v.Since), u.ID.Compare(v.ID)) < 0
}
