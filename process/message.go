package process

import (
	"fmt"
	"reflect"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/kith-mesh/kith/internal/codec"
)

// An encoded message is two CBOR items in a row: the name of its type, or null for the types that CBOR tells apart by
// itself, and the value. A named value inside []any or map[string]any is the same two items in a byte string under
// tagNamed.
const (
	cborNull = 0xf6
	tagNamed = 47002

	// maxNamedDepth bounds how deep named values nest in one another.
	maxNamedDepth = 16
)

// Raw is what arrives in place of a message whose type this node does not know, or cannot decode: nothing is lost, and
// the receiver may still make sense of it.
type Raw struct {
	// Type is the name under which the sender registered the type, empty for a plain value.
	Type string
	// Data is the value in CBOR.
	Data []byte
}

// Encode turns a message into bytes, as Send does for another node. Errors: ErrUnregisteredType, ErrBadMessage.
func (r *Runtime) Encode(msg any) ([]byte, error) { return r.types.now.Load().encode(msg) }

// Decode is the inverse of Encode. A value of unknown type, or that does not fit the type of that name here, comes out
// as a Raw. The result shares no memory with data. The error is ErrBadMessage.
func (r *Runtime) Decode(data []byte) (any, error) {
	if msg, ok := decodeBasic(data); ok {
		return msg, nil
	}
	return r.types.now.Load().decode(data, 0)
}

func (m *typeMaps) encode(msg any) ([]byte, error) { return m.appendMessage(nil, msg) }

// appendMessage appends the encoded message to b.
func (m *typeMaps) appendMessage(b []byte, msg any) ([]byte, error) {
	if b, ok := appendBasic(b, msg); ok {
		return b, nil
	}
	if raw, ok := msg.(Raw); ok {
		return raw.append(b)
	}
	name, value, err := m.prepare(msg)
	if err != nil {
		return nil, err
	}
	body, err := codec.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %T: %w", ErrBadMessage, msg, err)
	}
	return append(appendTypeName(b, name), body...), nil
}

// appendTypeName appends the name of a type, or null for none.
func appendTypeName(b []byte, name string) []byte {
	if name == "" {
		return append(b, cborNull)
	}
	return append(appendHead(b, majorText, uint64(len(name))), name...)
}

// append gives back the bytes that the Raw was made of, so that it can be passed on.
func (w Raw) append(b []byte) ([]byte, error) {
	if err := codec.Wellformed(w.Data); err != nil {
		return nil, fmt.Errorf("%w: raw message: %w", ErrBadMessage, err)
	}
	return append(appendTypeName(b, w.Type), w.Data...), nil
}

// prepare finds the name of a message's type, and what to give to CBOR.
func (m *typeMaps) prepare(msg any) (name string, value any, err error) {
	switch v := msg.(type) {
	case nil, bool, string, []byte, int64, float64, time.Time, PID:
		return "", v, nil
	case []any:
		out := make([]any, len(v))
		for i, elem := range v {
			if out[i], err = m.nest(elem); err != nil {
				return "", nil, err
			}
		}
		return "", out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, elem := range v {
			if out[key], err = m.nest(elem); err != nil {
				return "", nil, err
			}
		}
		return "", out, nil
	}
	name, ok := m.names[reflect.TypeOf(msg)]
	if !ok {
		return "", nil, fmt.Errorf("%w: %T", ErrUnregisteredType, msg)
	}
	return name, msg, nil
}

// nest prepares a value inside an untyped container.
func (m *typeMaps) nest(elem any) (any, error) {
	name, value, err := m.prepare(elem)
	if err != nil || name == "" {
		return value, err
	}
	data, err := m.encode(elem)
	if err != nil {
		return nil, err
	}
	return tagged(data), nil
}

// decode works depth levels inside named values: each level is a byte string of its own, so CBOR's limit of depth does
// not see them.
func (m *typeMaps) decode(data []byte, depth int) (any, error) {
	if depth > maxNamedDepth {
		return nil, fmt.Errorf("%w: named values nested deeper than %d", ErrBadMessage, maxNamedDepth)
	}
	if len(data) < 2 {
		return nil, fmt.Errorf("%w: %d bytes", ErrBadMessage, len(data))
	}
	if data[0] == cborNull {
		return m.decodePlain(data[1:], depth)
	}
	var name string
	body, err := codec.UnmarshalFirst(data, &name)
	if err != nil {
		return nil, fmt.Errorf("%w: type name: %w", ErrBadMessage, err)
	}
	if name == "" {
		return nil, fmt.Errorf("%w: empty type name", ErrBadMessage)
	}
	if err := codec.Wellformed(body); err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrBadMessage, name, err)
	}
	t, ok := m.types[name]
	if !ok {
		return Raw{Type: name, Data: append([]byte(nil), body...)}, nil
	}
	v := reflect.New(t)
	if err := codec.Unmarshal(body, v.Interface()); err != nil {
		return Raw{Type: name, Data: append([]byte(nil), body...)}, nil
	}
	return v.Elem().Interface(), nil
}

// tagged marks an encoded message inside an untyped value.
func tagged(data []byte) cbor.Tag { return cbor.Tag{Number: tagNamed, Content: data} }

func (m *typeMaps) decodePlain(body []byte, depth int) (any, error) {
	var v any
	if err := codec.Unmarshal(body, &v); err != nil {
		if codec.Wellformed(body) != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadMessage, err)
		}
		return Raw{Data: append([]byte(nil), body...)}, nil
	}
	return m.resolve(v, depth)
}

// resolve turns the tags in a generic value into PIDs and named values.
func (m *typeMaps) resolve(v any, depth int) (any, error) {
	var err error
	switch v := v.(type) {
	case []any:
		for i := range v {
			if v[i], err = m.resolve(v[i], depth); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if v[key], err = m.resolve(v[key], depth); err != nil {
				return nil, err
			}
		}
	case cbor.Tag:
		return m.resolveTag(v, depth)
	}
	return v, nil
}

func (m *typeMaps) resolveTag(tag cbor.Tag, depth int) (any, error) {
	switch tag.Number {
	case tagPID:
		return pidOf(tag.Content)
	case tagNamed:
		if data, ok := tag.Content.([]byte); ok {
			return m.decode(data, depth+1)
		}
		return nil, fmt.Errorf("%w: named value is not bytes", ErrBadMessage)
	}
	return tag, nil
}
