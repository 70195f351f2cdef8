package rpc

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// maxJSONDepth is how deeply arrays and objects may nest, as in CBOR.
const maxJSONDepth = 64

// JSONArgs makes one argument of the words of a command line, each of which is a JSON document: none is null, one is
// itself, several are an array. Numbers keep their form. It fails with ErrBadArgument, which names the word.
func JSONArgs(words ...string) (json.RawMessage, error) {
	for _, w := range words {
		if err := checkJSON([]byte(w)); err != nil {
			return nil, fmt.Errorf("%w (argument %s)", err, w)
		}
	}
	switch len(words) {
	case 0:
		return json.RawMessage("null"), nil
	case 1:
		return json.RawMessage(strings.TrimSpace(words[0])), nil
	}
	return json.RawMessage("[" + strings.Join(words, ",") + "]"), nil
}

// CallJSON is Call for those who speak JSON: args is one JSON document, and so is the result. No args means null.
func (s *Server) CallJSON(ctx context.Context, nodeName, fn string, args json.RawMessage, opts ...CallOption) (json.RawMessage, error) {
	if len(args) == 0 {
		args = json.RawMessage("null")
	}
	var result json.RawMessage
	if err := s.Call(ctx, nodeName, fn, args, &result, opts...); err != nil {
		return nil, err
	}
	return result, nil
}

// checkJSON says whether data is one JSON document, nested no deeper than is allowed.
func checkJSON(data []byte) error {
	if !json.Valid(data) {
		return fmt.Errorf("%w: not a JSON document", ErrBadArgument)
	}
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[' || c == '{':
			if depth++; depth > maxJSONDepth {
				return fmt.Errorf("%w: JSON nested deeper than %d", ErrBadArgument, maxJSONDepth)
			}
		case c == ']' || c == '}':
			depth--
		}
	}
	return nil
}

// unmarshalJSON is json.Unmarshal within the limits of depth. Numbers keep their form: in an untyped value an integer
// is an int64, or a *big.Int beyond its range, and anything else a float64; in an untyped field of a struct it is a
// json.Number.
func unmarshalJSON(data []byte, dst any) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(dst); err != nil {
		return err
	}
	var err error
	switch d := dst.(type) {
	case *any:
		*d, err = plainNumbers(*d)
	case *[]any:
		_, err = plainNumbers(*d)
	case *map[string]any:
		_, err = plainNumbers(*d)
	}
	return err
}

// plainNumbers replaces the json.Number values inside v by Go numbers.
func plainNumbers(v any) (any, error) {
	var err error
	switch v := v.(type) {
	case json.Number:
		return parseNumber(v)
	case []any:
		for i := range v {
			if v[i], err = plainNumbers(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for k := range v {
			if v[k], err = plainNumbers(v[k]); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

// parseNumber returns an int64 or *big.Int for digits alone, else a float64.
func parseNumber(n json.Number) (any, error) {
	if strings.ContainsAny(string(n), ".eE") {
		return n.Float64()
	}
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	if len(n) > maxDigits {
		return nil, fmt.Errorf("integer of more than %d digits", maxDigits)
	}
	b, ok := new(big.Int).SetString(string(n), 10)
	if !ok {
		return nil, fmt.Errorf("bad number %q", string(n))
	}
	return b, nil
}

// maxDigits bounds the time that reading one integer takes.
const maxDigits = 10_000

// marshalJSON is json.Marshal without the escapes that only HTML needs.
func marshalJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// toJSON turns an encoded value into JSON. The result shares no memory with data.
func toJSON(ct ContentType, data []byte) ([]byte, error) {
	switch ct {
	case None:
		return []byte("null"), nil
	case JSON:
		return bytes.Clone(data), checkJSON(data)
	case Bytes:
		return []byte(`"` + base64.StdEncoding.EncodeToString(data) + `"`), nil
	}
	var v any
	if err := decode(ct, data, &v); err != nil {
		return nil, err
	}
	return marshalJSON(v)
}
