// Package codec turns Go values into bytes and back, in the one way that every layer of the mesh uses: CBOR
// (RFC 8949) in its core deterministic form, decoded within fixed limits of size and depth.
//
// It does not frame (that is package wire), does not compress, and keeps no registry of types: a layer that needs
// named types keeps its own.
package codec

import (
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// Limits of what Unmarshal accepts. They bound what a hostile or broken peer can make a node allocate.
const (
	maxDepth    = 64
	maxElements = 1 << 20
)

var (
	encMode = mustEnc()
	decMode = mustDec()
)

func mustEnc() cbor.EncMode {
	opts := cbor.CoreDetEncOptions()
	opts.Time = cbor.TimeRFC3339Nano
	opts.TimeTag = cbor.EncTagRequired
	m, err := opts.EncMode()
	if err != nil {
		panic(err) // the options above are constants: this cannot depend on input
	}
	return m
}

func mustDec() cbor.DecMode {
	m, err := cbor.DecOptions{
		MaxNestedLevels:  maxDepth,
		MaxArrayElements: maxElements,
		MaxMapPairs:      maxElements,
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		DefaultMapType:   reflect.TypeFor[map[string]any](),
		IntDec:           cbor.IntDecConvertSignedOrFail,
		TimeTag:          cbor.DecTagOptional,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return m
}

// Marshal encodes v. It fails for values that CBOR cannot carry, such as channels and functions.
func Marshal(v any) ([]byte, error) { return encMode.Marshal(v) }

// Unmarshal decodes data, which must hold exactly one value, into the value that v points to. Into an *any it yields
// int64, uint64 is refused above the range of int64, float64, string, []byte, bool, nil, []any, map[string]any and
// time.Time. Unknown fields of a struct are ignored, so that an older node understands a newer one. The result
// shares no memory with data.
func Unmarshal(data []byte, v any) error { return decMode.Unmarshal(data, v) }

// UnmarshalFirst decodes the first value in data into the value that v points to, and returns the bytes behind it.
func UnmarshalFirst(data []byte, v any) (rest []byte, err error) {
	return decMode.UnmarshalFirst(data, v)
}

// Wellformed returns an error unless data is exactly one CBOR value within the limits.
func Wellformed(data []byte) error { return decMode.Wellformed(data) }
