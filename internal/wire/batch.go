package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Version is the version of the format, the first byte of each message.
const Version = 1

// Type says what a message on the ordered account is; it is the second byte.
type Type byte

// The types of messages on the ordered account.
const (
	TypeBatch     Type = 1 // frames of one session, numbered
	TypeBroadcast Type = 2 // frames for several sessions, numbered in each
	TypeControl   Type = 3 // a Control in CBOR: hello, welcome, goodbye
	TypeMark      Type = 4 // the last number sent in a session
	TypeFence     Type = 5 // a node's message to itself
)

// Sizes of the fixed parts, in bytes.
const (
	prefixSize = 3                      // version, type, header length
	BatchSize  = prefixSize + 8 + 8 + 4 // plus connection id, first number, count
	entrySize  = 8 + 8 + 8              // incarnation, connection id, first number
	MarkSize   = prefixSize + 8 + 8
	FenceSize  = prefixSize + 8
)

// MessageCharge is what each message counts against a window beyond its length: about what it costs a receiver to
// hold it before it is read. So one limit of bytes bounds the number of messages too.
const MessageCharge = 512

var (
	// ErrCorrupt is returned for bytes that are not a message of this format.
	ErrCorrupt = errors.New("corrupt message")
	// ErrVersion is returned for a message of a version that this node does not speak.
	ErrVersion = errors.New("unknown wire version")
)

// Peek returns the type of a message.
func Peek(data []byte) (Type, error) {
	if len(data) < prefixSize {
		return 0, fmt.Errorf("%w: %d bytes", ErrCorrupt, len(data))
	}
	if data[0] != Version {
		return 0, fmt.Errorf("%w: %d", ErrVersion, data[0])
	}
	return Type(data[1]), nil
}

// Batch is the header of a message that carries frames of one session.
type Batch struct {
	Conn  uint64 // connection id of the session
	First uint64 // number of the first frame
	Count uint32 // frames in this message; none in the message that starts a session
}

// PutBatch writes the header into the first BatchSize bytes of buf.
func PutBatch(buf []byte, b Batch) {
	buf[0], buf[1], buf[2] = Version, byte(TypeBatch), BatchSize
	binary.LittleEndian.PutUint64(buf[3:], b.Conn)
	binary.LittleEndian.PutUint64(buf[11:], b.First)
	binary.LittleEndian.PutUint32(buf[19:], b.Count)
}

// ParseBatch reads the header of a TypeBatch message and returns it with the bytes of the frames.
func ParseBatch(data []byte) (Batch, []byte, error) {
	if len(data) < BatchSize || int(data[2]) < BatchSize || int(data[2]) > len(data) {
		return Batch{}, nil, fmt.Errorf("%w: short batch", ErrCorrupt)
	}
	return Batch{
		Conn:  binary.LittleEndian.Uint64(data[3:]),
		First: binary.LittleEndian.Uint64(data[11:]),
		Count: binary.LittleEndian.Uint32(data[19:]),
	}, data[data[2]:], nil
}

// Entry names one receiver of a broadcast: which session, and the number of the first frame in it.
type Entry struct {
	Incarnation uint64 // of the receiving node
	Conn        uint64
	First       uint64
}

// PutBroadcast writes the header of a broadcast into the first BroadcastSize(len(entries)) bytes of buf, which holds
// the frames behind them, and returns buf.
func PutBroadcast(buf []byte, entries []Entry, count uint32) []byte {
	buf[0], buf[1], buf[2] = Version, byte(TypeBroadcast), prefixSize+8
	binary.LittleEndian.PutUint32(buf[3:], count)
	binary.LittleEndian.PutUint32(buf[7:], uint32(len(entries)))
	at := buf[prefixSize+8:]
	for _, e := range entries {
		binary.LittleEndian.PutUint64(at, e.Incarnation)
		binary.LittleEndian.PutUint64(at[8:], e.Conn)
		binary.LittleEndian.PutUint64(at[16:], e.First)
		at = at[entrySize:]
	}
	return buf
}

// ParseBroadcast finds the entry of the node with the given incarnation. listed is false when the broadcast is not
// meant for it. The batch is as if the frames had come over the session alone.
func ParseBroadcast(data []byte, incarnation uint64) (b Batch, frames []byte, listed bool, err error) {
	const fixed = prefixSize + 8
	if len(data) < fixed || int(data[2]) < fixed || int(data[2]) > len(data) {
		return Batch{}, nil, false, fmt.Errorf("%w: short broadcast", ErrCorrupt)
	}
	count := binary.LittleEndian.Uint32(data[3:])
	entries := uint64(binary.LittleEndian.Uint32(data[7:]))
	rest := data[data[2]:]
	if entries*entrySize > uint64(len(rest)) {
		return Batch{}, nil, false, fmt.Errorf("%w: broadcast to %d nodes in %d bytes", ErrCorrupt, entries, len(data))
	}
	list, frames := rest[:entries*entrySize], rest[entries*entrySize:]
	for ; len(list) > 0; list = list[entrySize:] {
		if binary.LittleEndian.Uint64(list) == incarnation {
			return Batch{
				Conn:  binary.LittleEndian.Uint64(list[8:]),
				First: binary.LittleEndian.Uint64(list[16:]),
				Count: count,
			}, frames, true, nil
		}
	}
	return Batch{}, nil, false, nil
}

// BroadcastSize is the size of a broadcast's header for n receivers.
func BroadcastSize(n int) int { return prefixSize + 8 + n*entrySize }

// AppendMark appends a mark: the number of the last frame sent in the session so far. Since it travels in order with
// the frames, a receiver that has fewer knows that the rest is lost and not late.
func AppendMark(buf []byte, conn, last uint64) []byte {
	buf = append(buf, Version, byte(TypeMark), MarkSize)
	buf = binary.LittleEndian.AppendUint64(buf, conn)
	return binary.LittleEndian.AppendUint64(buf, last)
}

// ParseMark reads a TypeMark message.
func ParseMark(data []byte) (conn, last uint64, err error) {
	if len(data) < MarkSize {
		return 0, 0, fmt.Errorf("%w: short mark", ErrCorrupt)
	}
	return binary.LittleEndian.Uint64(data[3:]), binary.LittleEndian.Uint64(data[11:]), nil
}

// AppendFence appends a fence. A node sends it to itself to learn that everything which had arrived before has been
// dispatched.
func AppendFence(buf []byte, token uint64) []byte {
	buf = append(buf, Version, byte(TypeFence), FenceSize)
	return binary.LittleEndian.AppendUint64(buf, token)
}

// ParseFence reads a TypeFence message.
func ParseFence(data []byte) (token uint64, err error) {
	if len(data) < FenceSize {
		return 0, fmt.Errorf("%w: short fence", ErrCorrupt)
	}
	return binary.LittleEndian.Uint64(data[3:]), nil
}
