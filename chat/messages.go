package chat

import (
	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/process"
)

// register gives the messages that users send each other their names on the wire. They are events of the talk: what
// arrives in the mailbox is handled as it is. The other events are not registered, so no peer can forge them.
func register(rt *process.Runtime) error {
	for _, err := range []error{
		process.RegisterType[talk.Hello](rt, "chat.hello"),
		process.RegisterType[talk.Asked](rt, "chat.asked"),
		process.RegisterType[talk.Known](rt, "chat.known"),
		process.RegisterType[talk.Said](rt, "chat.said"),
		process.RegisterType[talk.Typing](rt, "chat.typing"),
		process.RegisterType[talk.Told](rt, "chat.told"),
		process.RegisterType[talk.Confirmed](rt, "chat.confirmed"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// idOf is a PID as the talk knows it.
func idOf(p process.PID) talk.ID {
	return talk.ID{Node: p.Node, Incarnation: p.Incarnation, Num: p.ID}
}

// pidOf is the reverse of idOf.
func pidOf(id talk.ID) process.PID {
	return process.PID{Node: id.Node, Incarnation: id.Incarnation, ID: id.Num}
}

func idsOf(pids []process.PID) []talk.ID {
	out := make([]talk.ID, len(pids))
	for i, p := range pids {
		out[i] = idOf(p)
	}
	return out
}
