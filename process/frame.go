package process

import (
	"encoding/binary"
	"fmt"
)

// A frame of node.ProtocolProcess is a kind byte, the length of the header, the header, and a body that runs to the
// end. The header holds the fields that the kind asks for, in the order of the bits of fields. A newer version may
// add fields to the end of a header and kinds to the list: both are passed over by an older one. See docs/wire.md.
type frame struct {
	kind frameKind
	to   uint64 // id of a process or alias of the receiving node, zero when name is used
	from uint64 // id of a process of the sending node
	ref  uint64 // number of a monitor, an unlink or a request, chosen by the node that made it
	aux  uint64 // a code or flags
	name string // registered name on the receiving node
	body []byte
}

type frameKind byte

const (
	frameSend     frameKind = iota + 1 // message for a PID or alias
	frameSendName                      // message for a name
	frameSendAck                       // message for a PID or name, answered by frameAck
	frameAck                           // answer to frameSendAck: ref, aux is an ackCode
	frameMonitor                       // monitor the process to, or name
	frameDemonitor
	frameDown // the monitor ref has fired: body is a reason
	frameLink
	frameUnlink   // answered by frameUnlinked with the same ref
	frameUnlinked // from and to as in the sender of this frame's view
	frameExit     // exit signal sent by Exit: body is a reason
	frameLinkExit // exit signal along a link: body is a reason
	frameSpawn    // start a registered process type: body is a spawnRequest
	frameSpawned  // answer: aux is 0 and to the new process, or body is a reason
	frameKinds
)

// fields says which header fields a kind has.
type fields byte

const (
	hasTo fields = 1 << iota
	hasFrom
	hasRef
	hasAux
	hasName
)

// layout is the header of each kind. It never changes for a kind, except by additions at the end.
var layout = [frameKinds]fields{
	frameSend:      hasTo,
	frameSendName:  hasName,
	frameSendAck:   hasTo | hasRef | hasName,
	frameAck:       hasRef | hasAux,
	frameMonitor:   hasTo | hasRef | hasName,
	frameDemonitor: hasRef,
	frameDown:      hasRef,
	frameLink:      hasTo | hasFrom,
	frameUnlink:    hasTo | hasFrom | hasRef,
	frameUnlinked:  hasTo | hasFrom | hasRef,
	frameExit:      hasTo | hasFrom,
	frameLinkExit:  hasTo | hasFrom,
	frameSpawn:     hasFrom | hasRef | hasAux,
	frameSpawned:   hasTo | hasRef | hasAux,
}

// appendHead appends everything but the body.
func (f *frame) appendHead(b []byte) []byte {
	var scratch [4*binary.MaxVarintLen64 + binary.MaxVarintLen64]byte
	head := scratch[:0]
	mask := layout[f.kind]
	for bit, v := range [...]uint64{f.to, f.from, f.ref, f.aux} {
		if mask&(1<<bit) != 0 {
			head = binary.AppendUvarint(head, v)
		}
	}
	size := len(head)
	if mask&hasName != 0 {
		head = binary.AppendUvarint(head, uint64(len(f.name)))
		size = len(head) + len(f.name)
	}
	b = append(b, byte(f.kind))
	b = binary.AppendUvarint(b, uint64(size))
	b = append(b, head...)
	if mask&hasName != 0 {
		b = append(b, f.name...)
	}
	return b
}

// errUnknownFrame is a frame of a kind that a newer version has added. It is counted and passed over.
var errUnknownFrame = fmt.Errorf("%w: frame of unknown kind", ErrBadMessage)

// parseFrame reads a frame. The body shares memory with payload.
func parseFrame(payload []byte) (frame, error) {
	if len(payload) < 2 {
		return frame{}, fmt.Errorf("%w: frame of %d bytes", ErrBadMessage, len(payload))
	}
	f := frame{kind: frameKind(payload[0])}
	size, n := binary.Uvarint(payload[1:])
	if n <= 0 || size > uint64(len(payload)-1-n) {
		return frame{}, fmt.Errorf("%w: header length", ErrBadMessage)
	}
	head := payload[1+n : 1+n+int(size)]
	f.body = payload[1+n+int(size):]
	if f.kind == 0 || f.kind >= frameKinds {
		return f, errUnknownFrame
	}
	return f, f.parseHead(head)
}

func (f *frame) parseHead(head []byte) error {
	mask := layout[f.kind]
	for bit, field := range [...]*uint64{&f.to, &f.from, &f.ref, &f.aux} {
		if mask&(1<<bit) == 0 {
			continue
		}
		v, n := binary.Uvarint(head)
		if n <= 0 {
			return fmt.Errorf("%w: frame %d: header ends early", ErrBadMessage, f.kind)
		}
		*field, head = v, head[n:]
	}
	if mask&hasName == 0 {
		return nil
	}
	size, n := binary.Uvarint(head)
	if n <= 0 || size > uint64(len(head)-n) {
		return fmt.Errorf("%w: frame %d: header ends early", ErrBadMessage, f.kind)
	}
	f.name = string(head[n : n+int(size)])
	return nil
}
