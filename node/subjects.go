package node

import "fmt"

// subjects are those on which the nodes of a mesh speak. Frames and topics travel on the ordered account, the others on
// the control account. They begin with what the broker puts before them where it shares its accounts with others.
type subjects struct {
	prefix string
}

// frames is where the node with that incarnation takes frames.
func (s subjects) frames(inc uint64) string { return fmt.Sprintf("%skith.f.%016x", s.prefix, inc) }

// control is where it takes ticks, acknowledgements and what opens sessions.
func (s subjects) control(inc uint64) string { return fmt.Sprintf("%skith.c.%016x", s.prefix, inc) }

// replies is what the reply subjects of a node begin with; the peer's incarnation follows. They carry nothing but the
// broker's word that nobody is there.
func (s subjects) replies(self uint64) string { return fmt.Sprintf("%skith.r.%016x.", s.prefix, self) }

// announce is where nodes tell all that they exist.
func (s subjects) announce() string { return s.prefix + "kith.a" }

// topic is where the broadcasts of a topic go.
func (s subjects) topic(name string) string { return s.prefix + "kith.g." + name }
