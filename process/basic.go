package process

import (
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// The most common messages, texts, bytes and integers, are encoded and decoded here, without reflection. The bytes are
// those that package codec would make.

// CBOR's major types, shifted to their place.
const (
	majorUint  = 0 << 5
	majorNeg   = 1 << 5
	majorBytes = 2 << 5
	majorText  = 3 << 5
)

// intName is the name under which an int travels.
const intName = "\x63int"

// appendBasic appends a whole message, if it is of a basic type.
func appendBasic(b []byte, msg any) ([]byte, bool) {
	switch v := msg.(type) {
	case string:
		b = appendHead(append(b, cborNull), majorText, uint64(len(v)))
		return append(b, v...), true
	case []byte:
		if v == nil {
			return b, false
		}
		b = appendHead(append(b, cborNull), majorBytes, uint64(len(v)))
		return append(b, v...), true
	case int:
		return appendInt(append(b, intName...), int64(v)), true
	case int64:
		return appendInt(append(b, cborNull), v), true
	}
	return b, false
}

func appendInt(b []byte, v int64) []byte {
	if v < 0 {
		return appendHead(b, majorNeg, uint64(-1-v))
	}
	return appendHead(b, majorUint, uint64(v))
}

// appendHead appends a major type and its number in the shortest form.
func appendHead(b []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

// decodeBasic decodes a message of a basic type. What it does not recognise is left to the general way, mistakes
// included.
func decodeBasic(data []byte) (msg any, ok bool) {
	if len(data) < 2 {
		return nil, false
	}
	named := false
	if data[0] == cborNull {
		data = data[1:]
	} else if len(data) > len(intName) && string(data[:len(intName)]) == intName {
		data, named = data[len(intName):], true
	} else {
		return nil, false
	}
	n, size := headOf(data)
	if size == 0 {
		return nil, false
	}
	rest := data[size:]
	switch major := data[0] & 0xe0; {
	case major <= majorNeg:
		if len(rest) > 0 || n > math.MaxInt64 {
			return nil, false
		}
		v := int64(n)
		if major == majorNeg {
			v = -1 - v
		}
		if named {
			return int(v), true
		}
		return v, true
	case named || n != uint64(len(rest)):
		return nil, false
	case major == majorBytes:
		return append([]byte{}, rest...), true
	case major == majorText && utf8.Valid(rest):
		return string(rest), true
	}
	return nil, false
}

// headOf is the number behind a major type, and the size of both; size zero for forms that are not for
// numbers.
func headOf(data []byte) (n uint64, size int) {
	extra := data[0] & 0x1f
	switch {
	case extra < 24:
		return uint64(extra), 1
	case extra == 24 && len(data) >= 2:
		return uint64(data[1]), 2
	case extra == 25 && len(data) >= 3:
		return uint64(binary.BigEndian.Uint16(data[1:])), 3
	case extra == 26 && len(data) >= 5:
		return uint64(binary.BigEndian.Uint32(data[1:])), 5
	case extra == 27 && len(data) >= 9:
		return binary.BigEndian.Uint64(data[1:]), 9
	}
	return 0, 0
}
