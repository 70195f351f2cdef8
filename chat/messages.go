package chat

import (
	"strconv"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

// register gives the messages that users send each other their names on the wire. They are events of the talk: what
// arrives in the mailbox is handled as it is. The other events are not registered, so no peer can forge them.
func register(rt *process.Runtime) error {
	for _, err := range []error{
		process.RegisterType[talk.Said](rt, "chat.said"),
		process.RegisterType[talk.Typing](rt, "chat.typing"),
		process.RegisterType[talk.Told](rt, "chat.told"),
		process.RegisterType[talk.Confirmed](rt, "chat.confirmed"),
		process.RegisterType[talk.Mail](rt, "chat.mail"),
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

// The keys of a user's metadata in the group of all users.
const (
	metaNick  = "nick"
	metaSince = "since"
	metaRev   = "rev"
	metaAway  = "away"
)

// metaOf is what a user says of itself, as metadata.
func metaOf(u talk.User) pg.Meta {
	m := pg.Meta{
		metaNick:  u.Nick,
		metaSince: strconv.FormatUint(u.Since, 10),
		metaRev:   strconv.FormatUint(uint64(u.Rev), 10),
	}
	if u.Away != "" {
		m[metaAway] = u.Away
	}
	return m
}

// userOf is the reverse of metaOf. What is not there or makes no sense is zero: the talk ignores a user without a nick.
func userOf(p process.PID, m pg.Meta) talk.User {
	since, _ := strconv.ParseUint(m[metaSince], 10, 64)
	rev, _ := strconv.ParseUint(m[metaRev], 10, 32)
	return talk.User{
		ID: idOf(p), Nick: m[metaNick], Since: since, Rev: uint32(rev), Away: m[metaAway],
	}
}
