package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/kith-mesh/kith/internal/codec"
)

// ContentType says how the bytes of an argument or a result are to be read.
type ContentType uint8

const (
	// None is no value at all: nil, JSON's null. It has no bytes.
	None ContentType = 0
	// CBOR is how Go values travel (RFC 8949).
	CBOR ContentType = 1
	// JSON is how the command line and clients outside the mesh speak. What was asked in JSON is answered in JSON.
	JSON ContentType = 2
	// Bytes is the value itself, not encoded: what a []byte travels as.
	Bytes ContentType = 3
)

func (c ContentType) valid() bool { return c <= Bytes }

// String returns the media type, such as "application/cbor"; "" for None.
func (c ContentType) String() string {
	switch c {
	case None:
		return ""
	case CBOR:
		return "application/cbor"
	case JSON:
		return "application/json"
	case Bytes:
		return "application/octet-stream"
	}
	return fmt.Sprintf("content type %d", uint8(c))
}

// Raw is an encoded value. As an argument or result it is passed on as it is; a *Raw result takes an answer without
// decoding it.
type Raw struct {
	Type ContentType
	Data []byte
}

// encode turns an argument into bytes.
func encode(v any) (ContentType, []byte, error) {
	switch v := v.(type) {
	case nil:
		return None, nil, nil
	case []byte:
		return Bytes, v, nil
	case json.RawMessage:
		return encodeRaw(Raw{JSON, v})
	case Raw:
		return encodeRaw(v)
	}
	data, err := codec.Marshal(v)
	if err != nil {
		return None, nil, fmt.Errorf("%w: %w", ErrBadArgument, err)
	}
	return CBOR, data, nil
}

func encodeRaw(r Raw) (ContentType, []byte, error) {
	switch {
	case !r.Type.valid():
		return None, nil, fmt.Errorf("%w: %s", ErrBadArgument, r.Type)
	case r.Type == None:
		return None, nil, nil
	case r.Type == JSON:
		if err := checkJSON(r.Data); err != nil {
			return None, nil, err
		}
	}
	return r.Type, r.Data, nil
}

// encodeFor turns a result into bytes of the kind that the request was of: JSON for JSON, else CBOR or plain bytes.
func encodeFor(asked ContentType, v any) (ContentType, []byte, error) {
	if asked != JSON {
		return encode(v)
	}
	var data []byte
	var err error
	switch v := v.(type) {
	case nil:
		return None, nil, nil
	case json.RawMessage:
		return encodeRaw(Raw{JSON, v})
	case Raw:
		data, err = toJSON(v.Type, v.Data)
	default:
		data, err = marshalJSON(v)
	}
	return JSON, data, err
}

// decode reads data into what dst points to; a nil dst throws it away. The result shares no memory with data.
func decode(ct ContentType, data []byte, dst any) error {
	switch d := dst.(type) {
	case nil:
		return nil
	case *Raw:
		*d = Raw{ct, bytes.Clone(data)}
		return nil
	case *json.RawMessage:
		j, err := toJSON(ct, data)
		*d = j
		return err
	case *[]byte:
		if ct == Bytes {
			*d = append(make([]byte, 0, len(data)), data...)
			return nil
		}
	case *any:
		if ct == Bytes {
			*d = append(make([]byte, 0, len(data)), data...)
			return nil
		}
		if ct == None {
			*d = nil
			return nil
		}
	}
	switch ct {
	case None:
		return nil
	case CBOR:
		return codec.Unmarshal(data, dst)
	case JSON:
		return unmarshalJSON(data, dst)
	case Bytes:
		return fmt.Errorf("plain bytes do not fit a %T", dst)
	}
	return fmt.Errorf("%s", ct)
}

// assign gives what dst points to the value v, which a local call passed as it is. Where the types differ, it does
// what the wire would have done.
func assign(dst, v any) error {
	switch d := dst.(type) {
	case nil:
		return nil
	case *[]byte:
		if b, ok := v.([]byte); ok {
			*d = b
			return nil
		}
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *any, *Raw, *json.RawMessage:
		return recode(dst, v) // a local caller sees the same types as a remote one
	}
	if v != nil {
		p := reflect.ValueOf(dst)
		if p.Kind() == reflect.Pointer && !p.IsNil() && p.Type().Elem() == reflect.TypeOf(v) {
			p.Elem().Set(reflect.ValueOf(v))
			return nil
		}
	}
	return recode(dst, v)
}

func recode(dst, v any) error {
	ct, data, err := encode(v)
	if err != nil {
		return err
	}
	return decode(ct, data, dst)
}
