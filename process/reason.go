package process

import (
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/internal/codec"
)

// ExitError is an exit reason that has come from another node and is none of the sentinels: the text of the original
// error, and the sentinel that it wrapped, if it wrapped one, so that errors.Is still finds it.
type ExitError struct {
	// Text is what Error of the original returned.
	Text string
	// Base is the sentinel of this package that the original wrapped, or nil.
	Base error
}

// Error is the text of the original error.
func (e *ExitError) Error() string { return e.Text }

// Unwrap is the sentinel that the original wrapped.
func (e *ExitError) Unwrap() error { return e.Base }

// wireReason is an exit reason on its way to another node.
type wireReason struct {
	Kind  string `cbor:"1,keyasint"`
	Text  string `cbor:"2,keyasint,omitempty"`
	Stack []byte `cbor:"3,keyasint,omitempty"`
	Value []byte `cbor:"4,keyasint,omitempty"` // the error itself as an encoded message, when its type is registered
}

const (
	kindError = "error"
	kindPanic = "panic"

	// maxReasonText is what is left of a reason that is too large for a message.
	maxReasonText = 4 << 10
)

// sentinels are the reasons that keep their identity between nodes.
var sentinels = []struct {
	kind string
	err  error
}{
	{"normal", ErrNormal},
	{"shutdown", ErrShutdown},
	{"kill", ErrKill},
	{"killed", ErrKilled},
	{"noproc", ErrNoProcess},
	{"noconnection", ErrNoConnection},
	{"goexit", ErrGoexit},
	{"bad_message", ErrBadMessage},
	{"bad_name", ErrBadName},
	{"closed", ErrClosed},
	{"name_taken", ErrNameTaken},
	{"mailbox_full", ErrMailboxFull},
	{"no_type", ErrNoProcessType},
}

// EncodeReason turns an exit reason, or any error, into bytes, for layers that carry errors between nodes. It never
// fails: what cannot be encoded is sent as its text. A registered error type keeps its type.
func (r *Runtime) EncodeReason(reason error) []byte { return r.types.now.Load().encodeReason(reason) }

// DecodeReason is the inverse of EncodeReason: a sentinel of this package, a value of a registered type, a *PanicError,
// or an *ExitError.
func (r *Runtime) DecodeReason(data []byte) error { return r.types.now.Load().decodeReason(data) }

// encodeReason never fails: what cannot be encoded is sent as text.
func (m *typeMaps) encodeReason(reason error) []byte {
	w := m.wireReason(reason)
	data, err := codec.Marshal(w)
	if err != nil {
		data, _ = codec.Marshal(wireReason{Kind: kindError, Text: "exit reason cannot be encoded"})
	}
	return data
}

func (m *typeMaps) wireReason(reason error) wireReason {
	w := wireReason{Kind: kindError}
	for _, s := range sentinels {
		if reason == s.err {
			return wireReason{Kind: s.kind}
		}
		if errors.Is(reason, s.err) {
			w.Kind = s.kind
			break
		}
	}
	w.Text = textOf(reason)
	if pe, ok := errors.AsType[*PanicError](reason); ok {
		w.Kind, w.Text, w.Stack = kindPanic, fmt.Sprint(pe.Value), pe.Stack
		return w
	}
	if value, err := m.encode(reason); err == nil {
		w.Value = value
	}
	return w
}

// textOf is reason.Error(), which is user code and may panic.
func textOf(reason error) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("%T", reason)
		}
	}()
	return reason.Error()
}

// shortReason is the reason without what makes it large.
func shortReason(data []byte) []byte {
	var w wireReason
	if err := codec.Unmarshal(data, &w); err != nil {
		return nil
	}
	if len(w.Text) > maxReasonText {
		w.Text = w.Text[:maxReasonText] + "..."
	}
	if len(w.Stack) > maxReasonText {
		w.Stack = w.Stack[:maxReasonText]
	}
	w.Value = nil
	data, err := codec.Marshal(w)
	if err != nil {
		return nil
	}
	return data
}

// decodeReason never fails: a reason that cannot be read is an ExitError that says so.
func (m *typeMaps) decodeReason(data []byte) error {
	var w wireReason
	if err := codec.Unmarshal(data, &w); err != nil {
		return &ExitError{Text: "exit reason cannot be decoded: " + err.Error()}
	}
	if len(w.Value) > 0 {
		if v, err := m.decode(w.Value, 0); err == nil {
			if reason, ok := v.(error); ok {
				return reason
			}
		}
	}
	if w.Kind == kindPanic {
		return &PanicError{Value: w.Text, Stack: w.Stack}
	}
	for _, s := range sentinels {
		if s.kind != w.Kind {
			continue
		}
		if w.Text == "" {
			return s.err
		}
		return &ExitError{Text: w.Text, Base: s.err}
	}
	if w.Kind != kindError && w.Text == "" {
		w.Text = w.Kind
	}
	return &ExitError{Text: w.Text}
}
