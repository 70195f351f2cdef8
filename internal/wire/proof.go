package wire

import "encoding/binary"

// Signed are the bytes that the key of the sender's certificate signs when c, a Hello or a Welcome, opens a session with a
// node: who says what to whom, in which mesh, for which session, and, in a Hello, in answer to which challenge. What else
// the message holds is for convenience and can be said again at any time.
//
// Every field is behind its length or of a fixed one, so that no two messages are signed alike.
func (c *Control) Signed(mesh, toName string, toIncarnation uint64) []byte {
	b := []byte("kith session 1")
	text := func(s string) {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	text(mesh)
	b = append(b, byte(c.Verb), bit(c.From.Hidden))
	text(c.From.Name)
	b = binary.LittleEndian.AppendUint64(b, c.From.Incarnation)
	text(c.From.Addr)
	text(toName)
	b = binary.LittleEndian.AppendUint64(b, toIncarnation)
	b = binary.LittleEndian.AppendUint64(b, c.Conn)
	return binary.LittleEndian.AppendUint64(b, c.Echo)
}

func bit(set bool) byte {
	if set {
		return 1
	}
	return 0
}
