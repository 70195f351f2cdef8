package chat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/global"
	"github.com/kith-mesh/kith/process"
)

const (
	// nickPrefix begins the global name of a user's process.
	nickPrefix = "chat/"
	// resolver decides who keeps a nick that two partitions gave away.
	resolver = "kith.chat"
	// nickWait bounds the registration of a nick. Two round trips are enough; a node that does not answer costs a tick.
	nickWait = 10 * time.Second
)

// earlier is the resolver: whoever registered the nick first keeps it, and the other lives on to find a new one.
func earlier(_ context.Context, c global.Clash) global.Outcome {
	if c.Higher.Version.Compare(c.Lower.Version) < 0 {
		return global.Outcome{Keep: c.Higher.PID}
	}
	return global.Outcome{Keep: c.Lower.PID}
}

// claim registers a nick across the mesh. Errors: ErrNickTaken, and those of global.Registry.Register.
func (u *user) claim(ctx context.Context, nick string) (since uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, nickWait)
	defer cancel()
	v, err := u.cfg.Names.RegisterVersion(ctx, nickPrefix+nick, u.self.PID(), global.WithResolver(resolver))
	var taken *global.TakenError
	if errors.As(err, &taken) {
		return 0, &NickTakenError{Nick: nick, Node: taken.Holder.Node, Suggestion: u.suggest(nick)}
	}
	if err != nil {
		return 0, fmt.Errorf("register the nick %s: %w", nick, err)
	}
	return v.Clock, nil
}

// suggest is a nick like this one that nobody has.
func (u *user) suggest(nick string) string {
	return talk.Suggest(nick, func(s string) bool {
		_, taken := u.cfg.Names.Whereis(nickPrefix + s)
		return taken
	})
}

// claimAgain is claim for the talk, while the chat goes on.
func (u *user) claimAgain(ctx context.Context, nick string) {
	since, err := u.claim(ctx, nick)
	if err != nil {
		u.log.Debug().Err(err).Str("wanted", nick).Msg("no new nick yet")
		u.post(ctx, talk.NotClaimed{Nick: nick, Taken: errors.Is(err, ErrNickTaken)})
		return
	}
	u.post(ctx, talk.Claimed{Nick: nick, Since: since})
}

// release gives the nick back, before the others are told that this user leaves. It goes the way that the departure goes
// after it, so nobody needs to wait for it.
func (u *user) release(pid process.PID) {
	name := nickPrefix + u.talk.Self().Nick
	if holder, ok := u.cfg.Names.Whereis(name); !ok || holder != pid {
		return // another has kept it
	}
	ended, cancel := context.WithCancel(u.cfg.Runtime.Node().Context())
	cancel()
	_ = u.cfg.Names.Unregister(ended, name)
}

// nickLost is what a lost name means to the talk.
func nickLost(c global.Conflict) talk.Event {
	return talk.NickLost{Nick: c.Name[len(nickPrefix):], Node: c.Other.Node}
}
