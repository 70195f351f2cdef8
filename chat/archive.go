package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kith-mesh/kith/chat/internal/talk"
	"github.com/kith-mesh/kith/history"
	"github.com/kith-mesh/kith/node"
)

// What is kept of the chat, where the mesh has store nodes.
const (
	// HistoryAge is how long.
	HistoryAge = 30 * 24 * time.Hour
	// HistoryBytes is how much of all rooms together.
	HistoryBytes = 256 << 20
	// HistoryMessages is how many messages of each room.
	HistoryMessages = 10_000
)

// The topics of the log: what was said in a room, what waits for the holder of a nick, and who has been here.
const (
	roomTopic = "room/"
	boxTopic  = "box/"
	seenTopic = "seen/"
)

const (
	// readWait bounds the reading of a page. The talk waits for less, and shows what comes later when it comes.
	readWait = 20 * time.Second
	// boxPage is how many direct messages are read at once.
	boxPage = 100
)

// OpenHistory returns the log in which the chats of a mesh keep what is said in rooms and what is left for those who
// are away: see Config.History. It asks nobody; whether the mesh has stores shows when it is used. Errors: ErrClosed of
// package history.
func OpenHistory(n *node.Node) (*history.Log, error) {
	return history.New(n, history.Config{
		Name: "chat", MaxAge: HistoryAge, MaxBytes: HistoryBytes, MaxEntries: HistoryMessages,
	})
}

// kept is a message as the log has it.
type kept struct {
	Nick        string `json:"nick"`
	Node        string `json:"node"`
	Incarnation uint64 `json:"incarnation"`
	Process     uint64 `json:"process"`
	Seq         uint64 `json:"seq"`
	Text        string `json:"text"`
}

// record is a message of this user for the log. Its ID makes it one message, however often it is kept.
func (u *user) record(topic, text string, seq uint64) (history.Record, error) {
	self := u.talk.Self()
	data, err := json.Marshal(kept{
		Nick: self.Nick, Node: self.ID.Node, Incarnation: self.ID.Incarnation, Process: self.ID.Num, Seq: seq, Text: text,
	})
	id := fmt.Sprintf("%x.%d.%d", self.ID.Incarnation, self.ID.Num, seq)
	return history.Record{Topic: topic, ID: id, Data: data}, err
}

// pastOf are the messages of a page. What makes no sense is left out.
func (u *user) pastOf(page []history.Entry, room string) (past []talk.Past) {
	for _, e := range page {
		var k kept
		if err := json.Unmarshal(e.Data, &k); err != nil {
			u.log.Warn().Err(err).Str("topic", e.Topic).Uint64("seq", e.Seq).Msg("a message of the history makes no sense")
			continue
		}
		from := talk.User{ID: talk.ID{Node: k.Node, Incarnation: k.Incarnation, Num: k.Process}, Nick: k.Nick}
		past = append(past, talk.Past{Said: talk.Said{From: from, Room: room, Text: k.Text, Seq: k.Seq}, At: e.Time})
	}
	return past
}

// recall reads a page of a room for the talk.
func (u *user) recall(ctx context.Context, a talk.Recall) {
	limited, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	var page []history.Entry
	var err error
	if a.Again {
		page, err = u.cfg.History.After(limited, roomTopic+a.Room, a.After, a.Count)
	} else {
		page, err = u.cfg.History.Before(limited, roomTopic+a.Room, a.Before, a.Count)
	}
	u.keeper.answered(err)
	ev := talk.Recalled{Recall: a, Past: u.pastOf(page, a.Room), Read: len(page)}
	if len(page) > 0 {
		ev.First, ev.Last = page[0].Seq, page[len(page)-1].Seq
	}
	switch {
	case errors.Is(err, history.ErrNoStores):
		ev.None = true
	case errors.Is(err, history.ErrUnavailable):
		ev.Failed = history.ErrUnavailable.Error()
	case err != nil:
		ev.Failed = err.Error()
	}
	u.post(ctx, ev)
}

// openBox reads what waits for this user.
func (u *user) openBox(ctx context.Context, a talk.Open) {
	limited, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	page, err := u.cfg.History.AfterConfirmed(limited, boxTopic+a.Nick, a.After, boxPage) // nothing that has been shown and dropped
	none := errors.Is(err, history.ErrNoStores)
	if err != nil && !none {
		u.log.Debug().Err(err).Msg("the direct messages that wait cannot be read now")
	}
	switch ev := (talk.Boxed{Nick: a.Nick, Past: u.pastOf(page, "")}); {
	case len(page) > 0: // the rest of them is asked for next
		ev.Last = page[len(page)-1].Seq
		u.post(ctx, ev)
	case err == nil:
		u.post(ctx, ev)
	default:
		u.post(ctx, talk.BoxFailed{Nick: a.Nick, None: none})
	}
}

// emptyBox forgets what has been shown. What is left all the same is shown again to whoever comes next by this nick.
func (u *user) emptyBox(ctx context.Context, a talk.Empty) {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	if err := u.cfg.History.Drop(ctx, boxTopic+a.Nick, a.UpTo); err != nil {
		u.log.Warn().Err(err).Msg("direct messages that have been shown still wait")
	}
}

// store leaves a direct message for somebody who is not here, if anybody knows them. One that its turn finds given up is
// not left: its sender has been told that it did not arrive, and may have sent it again.
func (u *user) store(ctx context.Context, a talk.Store, r history.Record) {
	if u.over.Load() || !time.Now().Before(a.By) {
		return
	}
	limited, cancel := context.WithDeadline(ctx, a.By)
	defer cancel()
	known := a.Met
	var err error
	if !known {
		// From the store that leads: another may not know yet of somebody who has just been here.
		var seen []history.Entry
		seen, err = u.cfg.History.AfterConfirmed(limited, seenTopic+a.Nick, 0, 1)
		known = len(seen) > 0
	}
	switch {
	case err == nil && !known || errors.Is(err, history.ErrNoStores):
		u.post(ctx, talk.Unknown{Seq: a.Seq})
		return
	case err == nil:
		err = u.cfg.History.Append(limited, r)
	}
	if err != nil {
		u.post(ctx, talk.Undelivered{Seq: a.Seq, Reason: err.Error()})
		return
	}
	u.post(ctx, talk.Stored{Seq: a.Seq})
}

// leaveMessage is store in its turn behind what this user said before.
func (u *user) leaveMessage(ctx context.Context, a talk.Store) {
	r, err := u.record(boxTopic+a.Nick, a.Text, a.Seq)
	if err == nil && u.keeper.run(func(ctx context.Context) { u.store(ctx, a, r) }) {
		return
	}
	u.post(ctx, talk.Undelivered{Seq: a.Seq, Reason: "too much waits to be kept"})
}

// keep has something that was said kept.
func (u *user) keep(topic, text string, seq uint64) {
	if r, err := u.record(topic, text, seq); err == nil {
		u.keeper.keep(r)
	} else {
		u.log.Warn().Err(err).Msg("a message cannot be kept")
	}
}

// seen notes that somebody of this nick is here, so that messages may be left for them later.
func (u *user) seen() {
	if u.keeper != nil {
		self := u.talk.Self()
		id := fmt.Sprintf("seen.%x.%d.%d", self.ID.Incarnation, self.ID.Num, self.Rev)
		u.keeper.see(history.Record{Topic: seenTopic + self.Nick, ID: id})
	}
}
