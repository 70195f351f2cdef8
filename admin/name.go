package admin

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/kith-mesh/kith/internal/codec"
)

// Name is the name of a scope or a group, which may hold any bytes. In CBOR it is a text, or a byte string when it is
// no UTF-8; both are taken. In JSON, which has no bytes, a name that is no UTF-8 is written quoted as in Go.
type Name string

// MarshalCBOR encodes the name.
func (n Name) MarshalCBOR() ([]byte, error) {
	if utf8.ValidString(string(n)) {
		return codec.Marshal(string(n))
	}
	return codec.Marshal([]byte(n))
}

// UnmarshalCBOR decodes what MarshalCBOR wrote.
func (n *Name) UnmarshalCBOR(data []byte) error {
	const majorBytes = 2 // the upper three bits of a CBOR byte string
	if len(data) > 0 && data[0]>>5 == majorBytes {
		var b []byte
		err := codec.Unmarshal(data, &b)
		*n = Name(b)
		return err
	}
	return codec.Unmarshal(data, (*string)(n))
}

// MarshalJSON encodes the name.
func (n Name) MarshalJSON() ([]byte, error) {
	s := string(n)
	if !utf8.ValidString(s) {
		s = strconv.Quote(s)
	}
	return json.Marshal(s)
}
