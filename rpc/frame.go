package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// frameKind is the first byte of every frame. docs/wire/rpc.md describes each.
type frameKind uint8

const (
	frameHello   frameKind = 1
	frameRequest frameKind = 2
	frameAnswer  frameKind = 3
	frameFailure frameKind = 4
	frameCancel  frameKind = 5
	frameItem    frameKind = 6
	frameEnd     frameKind = 7
	frameCredit  frameKind = 8
	frameOpened  frameKind = 9
)

// protocolVersion is what this node says in its hello.
const protocolVersion = 1

// The bits of a request's flags. The lowest three hold the content type.
const (
	flagContent = 0x07
	flagCast    = 0x08
	flagKey     = 0x10
	flagHeader  = 0x20
	flagStream  = 0x40
	flagUnknown = 0x80
)

// Limits of a request's head, which a sender keeps and a receiver checks.
const (
	maxKey         = 255
	maxHeaderPairs = 64
	maxHeaderBytes = 16 << 10
	maxCredit      = 1 << 20
)

// errBadFrame is why a frame could not be decoded.
var errBadFrame = errors.New("bad frame")

// frame is one decoded frame, or one to encode. Which fields count depends on the kind. The slices share memory with
// what was decoded.
type frame struct {
	kind    frameKind
	id      uint64 // of the call; a cast has 0
	content ContentType
	code    failureCode   // failure
	cast    bool          // request: nobody waits for an answer
	stream  bool          // request: the answer is a stream
	budget  time.Duration // request: what is left of the caller's time; negative: no limit
	version uint64        // hello
	credit  uint64        // request of a stream, credit: items that may be sent
	name    string        // request to encode: the function
	fn      []byte        // decoded request: the function
	key     string        // request: idempotency key
	header  Header        // request
	payload []byte        // request, answer, failure, item
}

// appendHead appends all of f but its payload to dst.
func (f *frame) appendHead(dst []byte) []byte {
	dst = append(dst, byte(f.kind))
	switch f.kind {
	case frameHello:
		return binary.AppendUvarint(dst, f.version)
	case frameRequest:
		return f.appendRequest(dst)
	}
	dst = binary.AppendUvarint(dst, f.id)
	switch f.kind {
	case frameAnswer, frameItem:
		dst = append(dst, byte(f.content))
	case frameFailure:
		dst = append(dst, byte(f.code))
	case frameCredit:
		dst = binary.AppendUvarint(dst, f.credit)
	}
	return dst
}

func (f *frame) appendRequest(dst []byte) []byte {
	flags := byte(f.content)
	if f.cast {
		flags |= flagCast
	}
	if len(f.key) > 0 {
		flags |= flagKey
	}
	if len(f.header) > 0 {
		flags |= flagHeader
	}
	if f.stream {
		flags |= flagStream
	}
	dst = append(dst, flags)
	dst = binary.AppendUvarint(dst, f.id)
	dst = binary.AppendUvarint(dst, encodeBudget(f.budget))
	dst = appendString(dst, f.name)
	if len(f.key) > 0 {
		dst = appendString(dst, f.key)
	}
	if f.stream {
		dst = binary.AppendUvarint(dst, f.credit)
	}
	if len(f.header) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(f.header)))
		for _, k := range slices.Sorted(maps.Keys(f.header)) {
			dst = appendString(dst, k)
			dst = appendString(dst, f.header[k])
		}
	}
	return dst
}

// encodeBudget turns a budget into microseconds plus one, so that 0 can mean no limit. What is left is rounded up: a
// budget that is not yet used up never travels as one that is.
func encodeBudget(d time.Duration) uint64 {
	if d < 0 {
		return 0
	}
	return uint64((d+time.Microsecond-1)/time.Microsecond) + 1
}

func decodeBudget(v uint64) (time.Duration, bool) {
	if v == 0 {
		return -1, true
	}
	if v-1 > uint64(maxTimeout/time.Microsecond) {
		return 0, false
	}
	return time.Duration(v-1) * time.Microsecond, true
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// decode reads data into f, which must be zero. On an error f holds what could be read before it; f.id is 0 if not
// even that could.
func (f *frame) decode(data []byte) error {
	if len(data) == 0 {
		return fmt.Errorf("%w: empty", errBadFrame)
	}
	f.kind = frameKind(data[0])
	r := reader{rest: data[1:]}
	switch f.kind {
	case frameHello:
		f.version = r.uvarint()
		r.rest = nil // a later version may say more
	case frameRequest:
		f.decodeRequest(&r)
	case frameAnswer, frameItem:
		f.id = r.uvarint()
		f.content = ContentType(r.byte())
		f.payload = r.takeRest()
		r.check(f.content.valid(), "content type")
	case frameFailure:
		f.id = r.uvarint()
		f.code = failureCode(r.byte())
		f.payload = r.takeRest()
	case frameCredit:
		f.id = r.uvarint()
		f.credit = r.uvarint()
		r.check(f.credit <= maxCredit, "credit")
	case frameCancel, frameEnd, frameOpened:
		f.id = r.uvarint()
	default:
		return fmt.Errorf("%w: kind %d", errBadFrame, f.kind)
	}
	r.check(len(r.rest) == 0, "trailing bytes")
	if f.kind != frameHello && !f.cast {
		r.check(f.id != 0, "call id")
	}
	if r.bad != "" {
		return fmt.Errorf("%w: kind %d: %s", errBadFrame, f.kind, r.bad)
	}
	return nil
}

func (f *frame) decodeRequest(r *reader) {
	flags := r.byte()
	f.content = ContentType(flags & flagContent)
	f.cast = flags&flagCast != 0
	f.stream = flags&flagStream != 0
	f.id = r.uvarint()
	r.check(flags&flagUnknown == 0, "flags")
	r.check(f.content.valid(), "content type")
	r.check(!f.cast || !f.stream && f.id == 0, "cast")
	var ok bool
	f.budget, ok = decodeBudget(r.uvarint())
	r.check(ok, "budget")
	f.fn = r.bytes(maxName)
	if flags&flagKey != 0 {
		f.key = string(r.bytes(maxKey))
		r.check(len(f.key) > 0 && !f.stream, "key")
	}
	if f.stream {
		f.credit = r.uvarint()
		r.check(f.credit > 0 && f.credit <= maxCredit, "credit")
	}
	if flags&flagHeader != 0 {
		f.header = r.header()
	}
	f.payload = r.takeRest()
}

// reader takes a frame apart. After a mistake it reads zeros, and bad says what the first one was.
type reader struct {
	rest []byte
	bad  string
}

func (r *reader) check(ok bool, what string) {
	if !ok && r.bad == "" {
		r.bad = what
		r.rest = nil
	}
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.check(false, "too short")
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.check(false, "number")
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) bytes(limit int) []byte {
	n := r.uvarint()
	if n > uint64(limit) || n > uint64(len(r.rest)) {
		r.check(false, "length")
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) takeRest() []byte {
	b := r.rest
	r.rest = nil
	return b
}

func (r *reader) header() Header {
	n := r.uvarint()
	if n == 0 || n > maxHeaderPairs {
		r.check(false, "header")
		return nil
	}
	h, size := make(Header, n), 0
	for range n {
		k, v := r.bytes(maxHeaderBytes), r.bytes(maxHeaderBytes)
		size += len(k) + len(v)
		r.check(size <= maxHeaderBytes && len(k) > 0, "header")
		h[string(k)] = string(v)
	}
	r.check(len(h) == int(n), "header")
	return h
}
