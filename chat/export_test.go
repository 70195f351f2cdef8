package chat

import (
	"context"
	"time"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/history"
)

// Queue sets how many changes of groups may wait before they are given up and read anew.
func Queue(n int) func(*Config) { return func(c *Config) { c.queue = n } }

// StoreLate is what happens when the turn of a direct message comes after it was given up.
func StoreLate(ctx context.Context, log *history.Log, nick string) {
	u := &user{cfg: Config{History: log}}
	u.store(ctx, talk.Store{Nick: nick, Seq: 1, By: time.Now()}, history.Record{Topic: boxTopic + nick, ID: "late"})
}
