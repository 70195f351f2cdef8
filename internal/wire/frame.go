package wire

import (
	"encoding/binary"
	"fmt"
)

// Part says which part of a message a frame holds. Messages over a limit travel as several frames, so that small ones
// pass between them (SIG-14).
type Part byte

// The parts of a message.
const (
	Whole Part = 0 // all of it
	First Part = 1 // message id, total length, and the first bytes
	More  Part = 2 // message id and further bytes
	Abort Part = 3 // message id: the sender gave up, the rest will not come
)

const (
	partShift    = 6
	protocolMask = 1<<partShift - 1
)

// FrameSize is the length of a frame with a payload of n bytes.
func FrameSize(n int) int { return uvarintLen(uint64(n)) + 1 + n }

// AppendFrame appends one frame, its payload the parts one after the other.
func AppendFrame(buf []byte, protocol byte, part Part, payload ...[]byte) []byte {
	n := 0
	for _, p := range payload {
		n += len(p)
	}
	buf = binary.AppendUvarint(buf, uint64(n))
	buf = append(buf, protocol&protocolMask|byte(part)<<partShift)
	for _, p := range payload {
		buf = append(buf, p...)
	}
	return buf
}

// NextFrame reads the first frame of data and returns what follows it. The payload shares data's memory.
func NextFrame(data []byte) (protocol byte, part Part, payload, rest []byte, err error) {
	n, w := binary.Uvarint(data)
	if w <= 0 || uint64(len(data)-w) < 1 || n > uint64(len(data)-w-1) {
		return 0, 0, nil, nil, fmt.Errorf("%w: frame cut short", ErrCorrupt)
	}
	kind := data[w]
	payload, rest = data[w+1:w+1+int(n):w+1+int(n)], data[w+1+int(n):]
	return kind & protocolMask, Part(kind >> partShift), payload, rest, nil
}

func uvarintLen(n uint64) int {
	l := 1
	for n >= 0x80 {
		n >>= 7
		l++
	}
	return l
}
