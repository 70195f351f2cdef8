package process

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/fxamacker/cbor/v2"

	"github.com/kith-mesh/kith/internal/codec"
	"github.com/kith-mesh/kith/node"
)

// PID is the identity of one process in the mesh. It is a comparable value: two PIDs are the same process exactly when
// they are equal, so that it can be a map key, and it can travel inside messages. Since it carries the incarnation of
// its node, a PID from before a restart never reaches a process after it (SIG-12). The zero PID is no process.
type PID struct {
	// Node is the full name of the node that runs the process, name@host.
	Node string
	// Incarnation is the life of that node.
	Incarnation uint64
	// ID is the process within that life. It is never used twice.
	ID uint64
}

// IsZero reports whether the PID is the zero PID, which is no process.
func (p PID) IsZero() bool { return p == PID{} }

// NodeID is the node that runs the process.
func (p PID) NodeID() node.ID { return node.ID{Name: p.Node, Incarnation: p.Incarnation} }

const zeroPID = "none"

// String prints the PID so that ParsePID reads it, such as "alice@127.0.0.1#1f0c5a7be2d94d11/42", or "none" for the
// zero PID.
func (p PID) String() string {
	if p.IsZero() {
		return zeroPID
	}
	return fmt.Sprintf("%s#%016x/%d", p.Node, p.Incarnation, p.ID)
}

// ParsePID reads what PID.String printed. The error is ErrBadPID.
func ParsePID(s string) (PID, error) {
	if s == zeroPID {
		return PID{}, nil
	}
	hash := strings.LastIndexByte(s, '#')
	slash := strings.LastIndexByte(s, '/')
	if hash < 1 || slash != hash+17 {
		return PID{}, fmt.Errorf("%w: %q", ErrBadPID, s)
	}
	incarnation, err := strconv.ParseUint(s[hash+1:slash], 16, 64)
	if err != nil {
		return PID{}, fmt.Errorf("%w: %q: bad incarnation", ErrBadPID, s)
	}
	id, err := strconv.ParseUint(s[slash+1:], 10, 64)
	if err != nil || id > maxID {
		return PID{}, fmt.Errorf("%w: %q: bad id", ErrBadPID, s)
	}
	return PID{Node: s[:hash], Incarnation: incarnation, ID: id}, nil
}

// MarshalText encodes the PID as String does, which makes it a string in JSON.
func (p PID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePID.
func (p *PID) UnmarshalText(text []byte) error {
	pid, err := ParsePID(string(text))
	if err == nil {
		*p = pid
	}
	return err
}

// tagPID marks a PID in CBOR: the tag's content is [node, incarnation as 8 bytes, id]. The incarnation is a byte
// string because generic decoders refuse integers over the range of int64.
const tagPID = 47001

// maxID bounds ids, so that they fit into an int64 wherever they travel.
const maxID = 1<<63 - 1

type wirePID struct {
	_           struct{} `cbor:",toarray"`
	Node        string
	Incarnation []byte
	ID          uint64
}

// MarshalCBOR encodes the PID as a tagged array, so that it is recognised inside untyped values too.
func (p PID) MarshalCBOR() ([]byte, error) {
	var inc [8]byte
	binary.BigEndian.PutUint64(inc[:], p.Incarnation)
	return codec.Marshal(cbor.Tag{Number: tagPID, Content: wirePID{Node: p.Node, Incarnation: inc[:], ID: p.ID}})
}

// UnmarshalCBOR decodes what MarshalCBOR wrote. The error is ErrBadPID.
func (p *PID) UnmarshalCBOR(data []byte) error {
	var tag cbor.RawTag
	if err := codec.Unmarshal(data, &tag); err != nil || tag.Number != tagPID {
		return fmt.Errorf("%w: not a tagged PID", ErrBadPID)
	}
	var w wirePID
	if err := codec.Unmarshal(tag.Content, &w); err != nil || len(w.Incarnation) != 8 || w.ID > maxID {
		return fmt.Errorf("%w: bad content", ErrBadPID)
	}
	*p = PID{Node: w.Node, Incarnation: binary.BigEndian.Uint64(w.Incarnation), ID: w.ID}
	return nil
}

// pidOf makes a PID of a tag's content as a generic decoder delivers it.
func pidOf(content any) (PID, error) {
	fields, ok := content.([]any)
	if !ok || len(fields) != 3 {
		return PID{}, fmt.Errorf("%w: bad content", ErrBadPID)
	}
	name, ok1 := fields[0].(string)
	inc, ok2 := fields[1].([]byte)
	id, ok3 := fields[2].(int64)
	if !ok1 || !ok2 || !ok3 || len(inc) != 8 || id < 0 {
		return PID{}, fmt.Errorf("%w: bad content", ErrBadPID)
	}
	return PID{Node: name, Incarnation: binary.BigEndian.Uint64(inc), ID: uint64(id)}, nil
}
