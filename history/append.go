package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Record is something to keep.
type Record struct {
	// Topic is what it belongs to.
	Topic string
	// ID makes the record one of its kind in the log: what has the ID of a record of the last two minutes is that record,
	// and is not kept again. It is 1 to MaxID printable characters of ASCII.
	ID string
	// Data is what to keep, at most MaxData bytes. It is not changed.
	Data []byte
}

func (r *Record) check() error {
	if err := checkTopic(r.Topic); err != nil {
		return err
	}
	switch {
	case r.ID == "" || len(r.ID) > MaxID || strings.ContainsFunc(r.ID, func(c rune) bool { return c <= ' ' || c > '~' }):
		return fmt.Errorf("%w: an ID has 1 to %d printable characters of ASCII, not %q", ErrBadArgument, MaxID, r.ID)
	case len(r.Data) > MaxData:
		return fmt.Errorf("%w: %d bytes of data, %d are allowed", ErrBadArgument, len(r.Data), MaxData)
	}
	return nil
}

// Append keeps records, at most MaxPage of them, in their order. When it returns nil, a majority of the stores has them
// all. It blocks within ctx, for some milliseconds as a rule, for some seconds when the store that leads is lost.
//
// After an error some of them may be kept: call it again with the same records, which keeps none twice. Errors:
// ErrNoStores, ErrUnavailable, ErrBadArgument, ErrClosed.
func (l *Log) Append(ctx context.Context, records ...Record) error {
	if len(records) > MaxPage {
		return fmt.Errorf("%w: %d records, %d are allowed", ErrBadArgument, len(records), MaxPage)
	}
	for i := range records {
		if err := records[i].check(); err != nil {
			return err
		}
	}
	kept := make([]bool, len(records))
	return l.ask(ctx, func(ctx context.Context, conn *nats.Conn, _ jetstream.Stream) error {
		return l.sendInOrder(ctx, conn, records, kept)
	})
}

// sendInOrder sends what is not kept yet. Where it is not known that the stores take records, one goes ahead alone: a log
// that was just made is not heard of everywhere at once, and the first of many records would be lost, and come last.
func (l *Log) sendInOrder(ctx context.Context, conn *nats.Conn, records []Record, kept []bool) error {
	if first := slices.Index(kept, false); first >= 0 && !l.taking.Load() {
		if err := l.send(ctx, conn, records[:first+1], kept[:first+1]); err != nil {
			return err
		}
	}
	err := l.send(ctx, conn, records, kept)
	l.taking.Store(err == nil)
	return err
}

// send publishes what is not kept yet, and notes what is from then on.
func (l *Log) send(ctx context.Context, conn *nats.Conn, records []Record, kept []bool) error {
	inbox := nats.NewInbox()
	answers, err := listen(conn, inbox+".*", len(records))
	if err != nil {
		return err
	}
	defer answers.close()
	left := 0
	for i, r := range records {
		if kept[i] {
			continue
		}
		m := &nats.Msg{Subject: l.subject(r.Topic), Reply: inbox + "." + strconv.Itoa(i), Header: nats.Header{}, Data: r.Data}
		m.Header.Set(nats.MsgIdHdr, r.ID)
		if err := conn.PublishMsg(m); err != nil {
			return err
		}
		left++
	}
	var failed error
	for ; left > 0; left-- {
		m, err := answers.next(ctx)
		if err != nil {
			return errors.Join(failed, err)
		}
		i, err := strconv.Atoi(m.Subject[len(inbox)+1:])
		if err != nil || i < 0 || i >= len(kept) {
			continue
		}
		switch err := ack(m); {
		case errors.Is(err, nats.ErrNoResponders):
			return err // nor will the others be answered
		case err != nil:
			failed = err
		default:
			kept[i] = true
		}
	}
	return failed
}

// ack reads the stores' answer to one record.
func ack(m *nats.Msg) error {
	if m.Header.Get("Status") == "503" {
		return nats.ErrNoResponders
	}
	var answer struct {
		Stream string `json:"stream"`
		Error  *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fmt.Errorf("answer of the stores: %w", err)
	}
	switch {
	case answer.Error != nil:
		return fmt.Errorf("the stores refuse: %s (%d)", answer.Error.Description, answer.Error.Code)
	case answer.Stream == "":
		return errors.New("answer of the stores: it names no log")
	}
	return nil
}
