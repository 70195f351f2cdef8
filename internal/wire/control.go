package wire

import (
	"fmt"
	"time"

	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/internal/codec"
)

// Verb is what a control message does.
type Verb byte

// The verbs of control messages.
const (
	Knock    Verb = 1  // please open a session with me
	Hello    Verb = 2  // here is a connection id: open a session
	Welcome  Verb = 3  // yes: the answer to Hello
	Refuse   Verb = 4  // no, and why
	Bye      Verb = 5  // this session is over, and why
	ByeSeen  Verb = 6  // the goodbye has been taken, after all frames before it
	Tick     Verb = 7  // I am alive
	Ack      Verb = 8  // I have handed on that much
	Mark     Verb = 9  // please send a TypeMark
	Probe    Verb = 10 // are you there?
	Alive    Verb = 11 // the answer to Probe
	Announce Verb = 12 // I exist: where no route tells it
	// Challenge asks the sender of a Hello to sign it anew, over a number: see Control.Signed.
	Challenge Verb = 13
)

// String is the verb in lower case, for logs.
func (v Verb) String() string {
	names := [...]string{"", "knock", "hello", "welcome", "refuse", "bye", "bye-seen", "tick", "ack", "mark", "probe", "alive", "announce", "challenge"}
	if int(v) < len(names) {
		return names[v]
	}
	return fmt.Sprintf("verb-%d", byte(v))
}

// Info is what a node says of itself when a session opens.
type Info struct {
	Name        string   `cbor:"1,keyasint"`
	Incarnation uint64   `cbor:"2,keyasint"`
	Hidden      bool     `cbor:"3,keyasint,omitempty"`
	Addr        string   `cbor:"4,keyasint,omitempty"` // where its peers dial it
	Version     string   `cbor:"5,keyasint,omitempty"` // of the program
	Settled     bool     `cbor:"6,keyasint,omitempty"` // its start is complete: the name is its own
	Features    []string `cbor:"7,keyasint,omitempty"` // capabilities, for later versions to agree on
	Draining    bool     `cbor:"8,keyasint,omitempty"` // about to leave; said in every message from then on
}

// Control is one control message. Which fields count depends on the verb.
type Control struct {
	Verb Verb   `cbor:"1,keyasint"`
	From Info   `cbor:"2,keyasint"`           // the sender; Tick, Ack and Mark carry no more than who it is
	Conn uint64 `cbor:"3,keyasint,omitempty"` // the session
	// Why and Detail go with Refuse and Bye: a word for programs and a sentence for people.
	Why    string `cbor:"4,keyasint,omitempty"`
	Detail string `cbor:"5,keyasint,omitempty"`
	// Prev and PrevWhy go with Hello: the session before, if the receiver should still believe in it.
	Prev    uint64 `cbor:"6,keyasint,omitempty"`
	PrevWhy string `cbor:"7,keyasint,omitempty"`
	// Interval is the sender's tick interval.
	Interval time.Duration `cbor:"8,keyasint,omitempty"`
	// Last is the number of the last frame sent in the session.
	Last uint64 `cbor:"9,keyasint,omitempty"`
	// Taken is the charge of all messages that were handed on in the session so far, Window how much may be under way.
	Taken  uint64 `cbor:"10,keyasint,omitempty"`
	Window uint64 `cbor:"11,keyasint,omitempty"`
	// Token pairs a Probe with its Alive, a Tick with the Ack that echoes it, and a Challenge with the Hello that does.
	Token uint64 `cbor:"12,keyasint,omitempty"`
	Echo  uint64 `cbor:"13,keyasint,omitempty"`
	// Chain and Sig go with Hello and Welcome where nodes have certificates of their own: the sender's, and its key's
	// signature over Signed.
	Chain [][]byte `cbor:"14,keyasint,omitempty"`
	Sig   []byte   `cbor:"15,keyasint,omitempty"`
	// Peers goes with Announce, Knock, Hello and Welcome: how many visible nodes the sender is connected to, besides the receiver.
	Peers uint64 `cbor:"16,keyasint,omitempty"`
}

// Encode returns the message as bytes.
func (c *Control) Encode() []byte {
	data, err := codec.Marshal(c)
	if err != nil {
		panic(err) // the type holds nothing that CBOR cannot carry
	}
	return data
}

// EncodeOrdered returns the message as a TypeControl message of the ordered account.
func (c *Control) EncodeOrdered() []byte {
	return append([]byte{Version, byte(TypeControl), prefixSize}, c.Encode()...)
}

// DecodeControl reads a control message.
func DecodeControl(data []byte) (Control, error) {
	var c Control
	if err := codec.Unmarshal(data, &c); err != nil {
		return Control{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if c.Verb == 0 || c.From.Incarnation == 0 {
		return Control{}, fmt.Errorf("%w: control message without verb or sender", ErrCorrupt)
	}
	if _, _, err := address.ParseNode(c.From.Name); err != nil {
		return Control{}, fmt.Errorf("%w: sender %q: %w", ErrCorrupt, c.From.Name, err)
	}
	return c, nil
}

// DecodeOrderedControl reads a TypeControl message of the ordered account.
func DecodeOrderedControl(data []byte) (Control, error) {
	if len(data) < prefixSize || int(data[2]) < prefixSize || int(data[2]) > len(data) {
		return Control{}, fmt.Errorf("%w: short control message", ErrCorrupt)
	}
	return DecodeControl(data[data[2]:])
}
