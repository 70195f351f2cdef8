package genserver

import (
	"context"
	"errors"
	"fmt"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// What stands between client and server. On one node these values are sent as they are. To another node goes a list of
// two, the head and the body, so that the body keeps the name of its type.
type (
	call struct {
		from process.PID
		body any
	}
	cast  struct{ body any }
	reply struct {
		body any
		err  error
	}
	stop struct{ reason error }
)

// The heads on the wire.
type (
	callHead struct {
		From process.PID `cbor:"1,keyasint"`
	}
	castHead  struct{}
	replyHead struct {
		Error []byte `cbor:"1,keyasint,omitempty"` // a reason
	}
	stopHead struct {
		Reason []byte `cbor:"1,keyasint"`
	}
)

// registerHeads names the heads.
func registerHeads(rt *process.Runtime) error {
	return errors.Join(
		process.RegisterType[callHead](rt, "kith.gen.call"),
		process.RegisterType[castHead](rt, "kith.gen.cast"),
		process.RegisterType[replyHead](rt, "kith.gen.reply"),
		process.RegisterType[stopHead](rt, "kith.gen.stop"),
		process.RegisterType[*UnknownRequestError](rt, "kith.gen.unknown_request"),
		process.RegisterType[*BadReplyError](rt, "kith.gen.bad_reply"),
	)
}

// pack makes of an envelope what goes to another node.
func pack(rt *process.Runtime, envelope any) any {
	switch e := envelope.(type) {
	case call:
		return []any{callHead{e.from}, e.body}
	case cast:
		return []any{castHead{}, e.body}
	case reply:
		if e.err != nil {
			return []any{replyHead{rt.EncodeReason(e.err)}, nil}
		}
		return []any{replyHead{}, e.body}
	case stop:
		return []any{stopHead{rt.EncodeReason(e.reason)}, nil}
	}
	return envelope
}

// unpack is the inverse of pack. Other messages are returned as they are.
func unpack(rt *process.Runtime, msg any) any {
	list, ok := msg.([]any)
	if !ok || len(list) != 2 {
		return msg
	}
	switch head := list[0].(type) {
	case callHead:
		return call{head.From, list[1]}
	case castHead:
		return cast{list[1]}
	case replyHead:
		if len(head.Error) > 0 {
			return reply{err: rt.DecodeReason(head.Error)}
		}
		return reply{body: list[1]}
	case stopHead:
		return stop{rt.DecodeReason(head.Reason)}
	}
	return msg
}

// isHere reports whether the address is on this node.
func isHere(rt *process.Runtime, to process.Address) bool {
	here := rt.Node().Name()
	switch to := to.(type) {
	case process.PID:
		return to.Node == here
	case process.Name:
		return to.Node == "" || to.Node == here
	}
	return false
}

// wrap is the envelope in the form that goes to the address.
func wrap(rt *process.Runtime, to process.Address, envelope any) (any, error) {
	if isHere(rt, to) {
		return envelope, nil
	}
	return pack(rt, envelope), registerHeads(rt)
}

// answer sends an answer, without waiting, and without a connection where there is none any more.
func answer(rt *process.Runtime, to process.PID, body any, err error) {
	if err := sendAnswer(rt, to, reply{body, err}); err != nil {
		_ = sendAnswer(rt, to, reply{err: &BadReplyError{fmt.Sprintf("%T: %v", body, err)}}) // else nobody is there
	}
}

func sendAnswer(rt *process.Runtime, to process.PID, r reply) error {
	msg, err := wrap(rt, to, r)
	if err != nil {
		return err
	}
	err = rt.SendTo(context.Background(), to, msg, node.NoWait|node.NoConnect)
	switch {
	case errors.Is(err, node.ErrWouldBlock):
		// The caller's node is slow. That must not hold up the server, nor those who call from elsewhere.
		go func() { _ = rt.SendTo(rt.Node().Context(), to, msg, node.NoConnect) }()
		return nil
	case errors.Is(err, process.ErrNoConnection), errors.Is(err, process.ErrClosed), errors.Is(err, process.ErrMailboxFull):
		return nil // there is nobody to tell
	}
	return err
}
