package global

import (
	"encoding/binary"
	"fmt"

	"github.com/kith-mesh/kith/process"
)

// The form of the frames of node.ProtocolGlobal; docs/wire/global.md describes it. Integers are unsigned varints,
// strings carry their length. A frame is a header and any number of operations.

// frameVersion is the version of the format. A frame of another version is dropped and counted.
const frameVersion = 1

// op is what an operation is for.
type op byte

const (
	opHello   op = 1  // my name space; the first of a session
	opSet     op = 2  // one of my processes has this name
	opDel     op = 3  // none of my processes has this name any more
	opSynced  op = 4  // that was all I have
	opClaim   op = 5  // to the arbiter: I want to register a name
	opGrant   op = 6  // its answer: nobody else will, until you have
	opRefuse  op = 7  // its other answer: somebody has it
	opRelease op = 8  // to the arbiter: I have not registered it after all
	opClash   op = 9  // your registration collides with one that I know
	opOutcome op = 10 // how the lower of two owners has settled a clash
	opAsk     op = 11 // please register one of your processes, or unregister it
	opAnswer  op = 12 // the result
	opPing    op = 13 // are you there, and do we have a session?
	opPong    op = 14
	opLock    op = 15 // I want a lock at your place
	opLocked  op = 16 // it is yours, or not
	opUnlock  op = 17 // I do not want it any more
	opHeld    op = 18 // I hold this lock everywhere
)

// Flags of a set and of a clash.
const (
	flagMoved       = 1 << 0 // it takes over from what is older
	flagProvisional = 1 << 1 // not all have agreed yet
	flagSync        = 1 << 2 // it is no news
	flagMeta        = 1 << 3 // metadata follows
	flagResolver    = 1 << 4 // the resolver is not the default
	flagWitness     = 1 << 0 // of a clash: I know both, and own neither
	flagPending     = 1 << 1 // of a clash: mine is not settled either
)

// appendHeader begins a frame: ack is the number of the peer's last frame that has been dealt with, seq the number of
// this one, 0 if nobody waits for its acknowledgement.
func appendHeader(b []byte, ack, seq uint64) []byte {
	b = append(b, frameVersion)
	b = binary.AppendUvarint(b, ack)
	return binary.AppendUvarint(b, seq)
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendVersion(b []byte, v Version) []byte {
	b = binary.LittleEndian.AppendUint64(b, v.Clock)
	return binary.LittleEndian.AppendUint64(b, v.Node)
}

func appendPID(b []byte, p process.PID) []byte {
	b = appendString(b, p.Node)
	b = binary.LittleEndian.AppendUint64(b, p.Incarnation)
	return binary.AppendUvarint(b, p.ID)
}

func appendMeta(b []byte, m Meta) []byte {
	b = binary.AppendUvarint(b, uint64(len(m)))
	for _, k := range m.sortedKeys() {
		b = appendString(appendString(b, k), m[k])
	}
	return b
}

// appendSet tells of an own entry.
func appendSet(b []byte, e *entry, flags byte) []byte {
	if e.moved {
		flags |= flagMoved
	}
	if e.claim != nil {
		flags |= flagProvisional
	}
	if len(e.Meta) > 0 {
		flags |= flagMeta
	}
	if e.Resolver != ResolveDefault {
		flags |= flagResolver
	}
	b = appendString(append(b, byte(opSet), flags), e.Name)
	b = appendVersion(binary.AppendUvarint(b, e.PID.ID), e.Version)
	if flags&flagMeta != 0 {
		b = appendMeta(b, e.Meta)
	}
	if flags&flagResolver != 0 {
		b = appendString(b, e.Resolver)
	}
	return b
}

func appendDel(b []byte, name string, why Reason) []byte {
	return appendString(append(b, byte(opDel), byte(why)), name)
}

// reader takes a frame apart. After the first error everything is zero.
type reader struct {
	b     []byte
	limit uint64 // the first clock of a version that is not believed
	err   error
}

func (r *reader) more() bool { return r.err == nil && len(r.b) > 0 }

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", errBadFrame, what)
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail("it ends early")
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
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

func (r *reader) fixed() uint64 {
	if len(r.b) < 8 {
		r.fail("it ends early")
		return 0
	}
	v := binary.LittleEndian.Uint64(r.b)
	r.b = r.b[8:]
	return v
}

func (r *reader) version() Version {
	v := Version{Clock: r.fixed(), Node: r.fixed()}
	if r.err == nil && v.Clock >= r.limit {
		r.fail("clock out of range")
	}
	return v
}

// string reads a string of at most limit bytes.
func (r *reader) string(limit int) string {
	n := r.uint()
	if r.err != nil {
		return ""
	}
	if n > uint64(limit) || n > uint64(len(r.b)) {
		r.fail("string too long")
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) name() string {
	s := r.string(MaxName)
	if r.err == nil && s == "" {
		r.fail("empty name")
	}
	return s
}

func (r *reader) pid() process.PID {
	return process.PID{Node: r.string(MaxName), Incarnation: r.fixed(), ID: r.uint()}
}

func (r *reader) meta() Meta {
	n := r.uint()
	if r.err == nil && n > MaxMeta {
		r.fail("too much metadata")
	}
	m := Meta{}
	for ; n > 0 && r.err == nil; n-- {
		k := r.string(MaxMeta)
		m[k] = r.string(MaxMeta)
	}
	if r.err == nil && m.check() != nil {
		r.fail("too much metadata")
	}
	return m
}

// set reads what appendSet wrote, but for the operation.
func (r *reader) set(owner process.PID) (e *entry, flags byte) {
	flags = r.byte()
	e = &entry{Entry: Entry{Name: r.name(), PID: owner, Resolver: ResolveDefault}}
	e.PID.ID = r.uint()
	e.Version = r.version()
	if flags&flagMeta != 0 {
		e.Meta = r.meta()
	}
	if flags&flagResolver != 0 {
		e.Resolver = r.string(MaxName)
	}
	e.moved, e.provisional = flags&flagMoved != 0, flags&flagProvisional != 0
	return e, flags
}
