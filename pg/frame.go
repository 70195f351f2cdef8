package pg

import (
	"encoding/binary"
	"fmt"
)

// The form of the frames of node.ProtocolGroups; docs/wire/pg.md describes it. Numbers are unsigned varints, strings
// and names carry their length. Every frame begins with version, kind and scope.

// frameVersion is the version of the format. A hello of a later one is understood, so that nodes of two versions can
// begin to talk (PG-32); everything else of another version is dropped and counted.
const frameVersion = 1

// kind is what a frame is for.
type kind byte

const (
	kindHello   kind = 1  // I run this scope: tell me your members
	kindSync    kind = 2  // all my members of some groups, or of all
	kindUpdate  kind = 3  // changes of my members
	kindBye     kind = 4  // I do not run this scope any more
	kindMessage kind = 5  // a broadcast
	kindAsk     kind = 6  // please take the topic of a group: I broadcast to it
	kindRelease kind = 7  // nothing is under way to you on a topic any more
	kindMissed  kind = 8  // how many broadcasts you missed, by group
	kindProbe   kind = 9  // nothing: it waits for the window to open
	kindCall    kind = 10 // a call to all members
	kindAccept  kind = 11 // these members were asked
	kindReply   kind = 12 // the answer of one member
	kindCancel  kind = 13 // nobody waits for the answers any more
	kindMany    kind = 14 // a broadcast to many, which is to be acknowledged
	kindTook    kind = 15 // so many broadcasts to many were delivered
)

// carries says whether a frame has a payload of the program's. Every other frame is posted, and so of 128 KiB at most,
// whatever it tells of: see chunkBytes. Numbers take eight times their space once they are read.
func (k kind) carries() bool {
	return k == kindMessage || k == kindMany || k == kindCall || k == kindReply
}

// Flags of a sync, of a part of it, and of an accept.
const (
	syncFirst     = 1 << 0 // what follows replaces all that was known
	syncLast      = 1 << 1 // what was not named since the first is gone
	partContinues = 1 << 0 // the next part has more processes of the same group
	partMeta      = 1 << 1 // metadata follows
	acceptMore    = 1 << 0 // the members that were asked are not all named yet
)

// op is one change in an update.
type op byte

const (
	opJoin     op = 1 // processes join a group
	opJoinMeta op = 2 // the same, with metadata for each
	opLeave    op = 3 // processes leave a group
	opMeta     op = 4 // a member has other metadata now
	opLane     op = 5 // I have taken the topic of a group
)

// answer is the kind of a reply.
type answer byte

const (
	answerValue answer = 0 // a message of the process codec
	answerError answer = 1 // the text of an error
	answerGone  answer = 2 // the member ended before it answered
)

func appendHeader(b []byte, k kind, scope string) []byte {
	b = append(b, frameVersion, byte(k))
	return appendString(b, scope)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendKey(b []byte, k key) []byte {
	n := uint64(len(k.name)) << 1
	if k.pattern {
		n |= 1
	}
	b = binary.AppendUvarint(b, n)
	return append(b, k.name...)
}

func appendIDs(b []byte, ids []uint64) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = binary.AppendUvarint(b, id)
	}
	return b
}

func appendMeta(b []byte, m Meta) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, k := range m.sortedKeys() {
		b = appendString(b, k)
		b = appendString(b, m[k])
	}
	return b
}

func appendJoin(b []byte, k key, ids []uint64, meta Meta) []byte {
	if meta == nil {
		b = appendKey(append(b, byte(opJoin)), k)
		return appendIDs(b, ids)
	}
	b = appendKey(append(b, byte(opJoinMeta)), k)
	return appendMeta(appendIDs(b, ids), meta)
}

func appendLeave(b []byte, k key, ids []uint64) []byte {
	return appendIDs(appendKey(append(b, byte(opLeave)), k), ids)
}

func appendSetMeta(b []byte, k key, id uint64, m Meta) []byte {
	b = appendKey(append(b, byte(opMeta)), k)
	return appendMeta(binary.AppendUvarint(b, id), m)
}

func appendLane(b []byte, k key, gen uint64) []byte {
	return binary.AppendUvarint(appendKey(append(b, byte(opLane)), k), gen)
}

// appendPart writes one part of a sync, with its metadata in the order of ids.
func appendPart(b []byte, p part, continues bool) []byte {
	var flags byte
	if continues {
		flags |= partContinues
	}
	if len(p.meta) > 0 {
		flags |= partMeta
	}
	b = append(appendKey(b, p.key), flags)
	b = binary.AppendUvarint(b, p.lane)
	b = appendIDs(b, p.ids)
	if len(p.meta) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(len(p.meta)))
	done := make(map[uint64]bool, len(p.meta))
	for _, id := range p.ids {
		if m, ok := p.meta[id]; ok && !done[id] {
			done[id] = true
			b = appendMeta(binary.AppendUvarint(b, id), m)
		}
	}
	return b
}

// Sizes of the pieces in which a sync is sent, so that it does not hold up what else the nodes say to each other, and
// that every frame is one that may be posted: at most 10 bytes for an id and MaxMeta over the limit make under 128 KiB.
const (
	chunkBytes = 32 << 10
	chunkIDs   = 4096
)

// syncWriter cuts a sync into frames.
type syncWriter struct {
	scope string
	flags byte // of the next frame
	head  int
	buf   []byte
	emit  func(frame []byte)
}

// newSyncWriter writes a full sync, or only some parts if whole is false.
func newSyncWriter(scope string, whole bool, emit func(frame []byte)) *syncWriter {
	w := &syncWriter{scope: scope, emit: emit}
	if whole {
		w.flags = syncFirst
	}
	w.begin()
	return w
}

func (w *syncWriter) begin() {
	w.buf = append(appendHeader(w.buf[:0], kindSync, w.scope), w.flags)
	w.head = len(w.buf)
	w.flags = 0
}

// add writes a part, in pieces if it is large. Each piece has the metadata of its own processes only.
func (w *syncWriter) add(p part) {
	for {
		n, all := p.cut()
		piece := part{key: p.key, lane: p.lane, ids: p.ids[:n], meta: metaFor(p.ids[:n], p.meta)}
		before := len(w.buf)
		w.buf = appendPart(w.buf, piece, !all)
		if len(w.buf) > chunkBytes && before > w.head { // it goes into a frame of its own
			next := append([]byte(nil), w.buf[before:]...)
			w.buf = w.buf[:before]
			w.flush()
			w.buf = append(w.buf, next...)
		}
		if all {
			return
		}
		p.ids = p.ids[n:]
	}
}

// cut says how many processes of the part fit one piece, and whether that is all of them.
func (p *part) cut() (n int, all bool) {
	size := 0
	for i, id := range p.ids {
		if i == chunkIDs || size > chunkBytes {
			return i, false
		}
		for k, v := range p.meta[id] {
			size += len(k) + len(v) + 4
		}
	}
	return len(p.ids), true
}

// flush sends what was written and begins the next frame.
func (w *syncWriter) flush() {
	w.emit(w.buf)
	w.begin()
}

func metaFor(ids []uint64, all map[uint64]Meta) map[uint64]Meta {
	if len(all) == 0 {
		return nil
	}
	some := make(map[uint64]Meta)
	for _, id := range ids {
		if m := all[id]; m != nil {
			some[id] = m
		}
	}
	return some
}

// end sends what is left; after a full sync the frame says that it was the last.
func (w *syncWriter) end(whole bool) {
	if whole {
		w.buf[w.head-1] |= syncLast
	} else if len(w.buf) == w.head {
		return
	}
	w.emit(w.buf)
}

// reader takes a frame apart. After the first error it yields zero values.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrBadFrame, what)
	}
	r.b = nil
}

func (r *reader) more() bool { return r.err == nil && len(r.b) > 0 }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail("cut short")
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("bad number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail("cut short")
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) string() string { return string(r.bytes(r.uint())) }

// name reads the name of a group or pattern without copying it, for the hot path.
func (r *reader) name() (name []byte, pattern bool) {
	n := r.uint()
	name = r.bytes(n >> 1)
	if r.err == nil && (len(name) == 0 || len(name) > MaxName) {
		r.fail("bad group name")
	}
	return name, n&1 == 1
}

func (r *reader) key() key {
	name, pattern := r.name()
	k := key{string(name), pattern}
	if r.err == nil && pattern && checkPattern(k.name) != nil {
		r.fail("bad pattern")
	}
	return k
}

// count reads the number of elements to come, each of which takes at least size bytes.
func (r *reader) count(size int) int {
	n := r.uint()
	if n > uint64(len(r.b)/size) {
		r.fail("count too large")
		return 0
	}
	return int(n)
}

func (r *reader) ids() []uint64 {
	n := r.count(1)
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = r.uint()
	}
	return ids
}

func (r *reader) meta() Meta {
	n := r.count(2)
	m := make(Meta, n)
	for range n {
		k := r.string()
		m[k] = r.string()
	}
	if r.err == nil && m.check() != nil {
		r.fail("metadata too large")
	}
	return m
}

func (r *reader) part() (p part, continues bool) {
	p.key = r.key()
	flags := r.byte()
	p.lane = r.uint()
	p.ids = r.ids()
	if flags&partMeta != 0 {
		n := r.count(2)
		p.meta = make(map[uint64]Meta, n)
		for range n {
			id := r.uint()
			p.meta[id] = r.meta()
		}
	}
	return p, flags&partContinues != 0
}

// header reads how a frame begins. The scope shares the frame's memory. Of a later version only a hello is read.
func (r *reader) header() (k kind, scope []byte) {
	size := len(r.b)
	version := r.byte()
	k = kind(r.byte())
	if r.err == nil && version != frameVersion && (k != kindHello || version < frameVersion) {
		r.err = fmt.Errorf("%w: %d", ErrVersion, version)
		return 0, nil
	}
	if r.err == nil && size > wholeFrame && !k.carries() {
		r.fail("too long")
		return 0, nil
	}
	scope = r.bytes(r.uint())
	if r.err == nil && (len(scope) == 0 || len(scope) > MaxName) {
		r.fail("bad scope name")
	}
	return k, scope
}

func appendRelease(b []byte, scope string, k key, gen uint64) []byte {
	return binary.AppendUvarint(appendKey(appendHeader(b, kindRelease, scope), k), gen)
}

func appendTook(b []byte, scope string, frames int) []byte {
	return binary.AppendUvarint(appendHeader(b, kindTook, scope), uint64(frames))
}

func appendMissed(b []byte, group string, n uint64) []byte {
	return binary.AppendUvarint(appendKey(b, key{name: group}), n)
}
