package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Entry is a record that is kept.
type Entry struct {
	// Seq is its place: greater than that of every entry before it, in whichever topic.
	Seq uint64
	// Time is when the stores took it, by their clock.
	Time time.Time
	// Topic, ID and Data are the record's.
	Topic, ID string
	Data      []byte
}

// pageBytes bounds what one request brings.
const pageBytes = 4 << 20

// Last returns the newest n entries of a topic, the oldest of them first; fewer where there are no more. n is at most
// MaxPage. It blocks within ctx. Errors: ErrNoStores, ErrUnavailable, ErrBadArgument, ErrClosed.
func (l *Log) Last(ctx context.Context, topic string, n int) ([]Entry, error) {
	return l.Before(ctx, topic, 0, n)
}

// Before returns the n entries of a topic before a place, the oldest of them first: with the place of the oldest entry
// that is known it pages back. Zero stands for the end. It blocks and fails like Last.
func (l *Log) Before(ctx context.Context, topic string, place uint64, n int) (page []Entry, err error) {
	err = l.read(ctx, topic, n, func(ctx context.Context, r *reader) error {
		page, err = r.before(ctx, place, n)
		return err
	})
	return page, err
}

// After returns the n entries of a topic behind a place, the oldest first. Zero stands for the beginning. It blocks and
// fails like Last.
func (l *Log) After(ctx context.Context, topic string, place uint64, n int) (page []Entry, err error) {
	err = l.read(ctx, topic, n, func(ctx context.Context, r *reader) error {
		if place < math.MaxUint64 { // nothing is behind that, and the place after it is the beginning
			page, err = r.from(ctx, place+1, 0, n)
		}
		return err
	})
	return page, err
}

// AfterConfirmed is After as the store that leads has it: what was dropped before the call is not there, and what was
// appended is. It is for topics whose readers drop what they have read. It asks for one entry at a time, and waits within
// ctx while no store leads. It fails like Last.
func (l *Log) AfterConfirmed(ctx context.Context, topic string, place uint64, n int) (page []Entry, err error) {
	next := place + 1
	err = l.read(ctx, topic, n, func(ctx context.Context, r *reader) error { // which goes on where it failed
		for len(page) < n && next > 0 { // nothing is behind the last place of all
			e, ok, err := r.led(ctx, next)
			if err != nil || !ok {
				return err
			}
			page, next = append(page, e), e.Seq+1
		}
		return nil
	})
	return page, err
}

// read lets f read a topic, again while that fails in passing.
func (l *Log) read(ctx context.Context, topic string, n int, f func(context.Context, *reader) error) error {
	if err := checkTopic(topic); err != nil {
		return err
	}
	if n < 1 || n > MaxPage {
		return fmt.Errorf("%w: a page of %d entries, 1 to %d are allowed", ErrBadArgument, n, MaxPage)
	}
	return l.ask(ctx, func(ctx context.Context, conn *nats.Conn, _ jetstream.Stream) error {
		return f(ctx, &reader{
			conn: conn, api: "$JS.API.DIRECT.GET." + l.streamName(), leader: "$JS.API.STREAM.MSG.GET." + l.streamName(),
			subject: l.subject(topic), topic: topic,
		})
	})
}

// reader reads one topic. Each request is answered by some store.
type reader struct {
	conn           *nats.Conn
	api, leader    string // where any store answers, and the one that leads
	subject, topic string
}

// before finds the place from which n entries follow until end, and reads them.
func (r *reader) before(ctx context.Context, end uint64, n int) ([]Entry, error) {
	if end == 0 {
		last, _, err := r.get(ctx, request{LastFor: r.subject})
		if err != nil || len(last) == 0 {
			return nil, err
		}
		end = last[0].Seq + 1
	}
	first, total, err := r.count(ctx, 1)
	if err != nil || total == 0 {
		return nil, err
	}
	_, behind, err := r.count(ctx, end)
	if err != nil {
		return nil, err
	}
	start := first
	if total-behind > n {
		if start, err = r.start(ctx, span{first, total}, span{end, behind}, n); err != nil {
			return nil, err
		}
	}
	page, err := r.from(ctx, start, end, 2*n)
	return page[max(0, len(page)-n):], err
}

// span is a place and how many entries there are from it on.
type span struct {
	seq   uint64
	count int
}

// start finds a place with n to 2n entries between it and high, by halving where guessing by proportion does not do.
func (r *reader) start(ctx context.Context, low, high span, n int) (uint64, error) {
	end := high.count
	for guess := true; high.seq-low.seq > 1; guess = !guess {
		mid := low.seq + (high.seq-low.seq)/2
		if all := low.count - high.count; guess && all > 0 {
			want := float64(n+n/2+end-high.count) / float64(all)
			mid = high.seq - uint64(float64(high.seq-low.seq)*min(max(want, 0), 1))
			mid = min(max(mid, low.seq+1), high.seq-1)
		}
		_, count, err := r.count(ctx, mid)
		switch between := count - end; {
		case err != nil:
			return 0, err
		case between < n:
			high = span{mid, count}
		case between > 2*n:
			low = span{mid, count}
		default:
			return mid, nil
		}
	}
	return low.seq, nil
}

// count says which entry is the first from a place on, and how many there are.
func (r *reader) count(ctx context.Context, place uint64) (first uint64, n int, err error) {
	got, pending, err := r.get(ctx, request{Seq: place, NextFor: r.subject, Batch: 1})
	if err != nil || len(got) == 0 {
		return 0, 0, err
	}
	return got[0].Seq, pending + 1, nil
}

// from reads up to n entries from a place on, not beyond end unless that is zero.
func (r *reader) from(ctx context.Context, place, end uint64, n int) (page []Entry, err error) {
	for len(page) < n {
		got, pending, err := r.get(ctx, request{Seq: place, NextFor: r.subject, Batch: n - len(page)})
		if err != nil {
			return nil, err
		}
		for _, e := range got {
			if end > 0 && e.Seq >= end {
				return page, nil
			}
			page = append(page, e)
			place = e.Seq + 1
		}
		if len(got) == 0 || pending == 0 {
			break
		}
	}
	return page, nil
}

// request is what a store is asked for, in its words.
type request struct {
	Seq      uint64 `json:"seq,omitempty"`
	LastFor  string `json:"last_by_subj,omitempty"`
	NextFor  string `json:"next_by_subj,omitempty"`
	Batch    int    `json:"batch,omitempty"`
	MaxBytes int    `json:"max_bytes,omitempty"`
}

// errAnswer is an answer of a store that makes no sense.
var errAnswer = errors.New("answer of a store makes no sense")

// get asks for entries. pending is how many more there are behind the last of them.
func (r *reader) get(ctx context.Context, req request) (got []Entry, pending int, err error) {
	req.MaxBytes = pageBytes // without it the store looks at its server's options without their lock (nats-server 2.15.2)
	text, err := json.Marshal(req)
	if err != nil {
		return nil, 0, err
	}
	inbox := nats.NewInbox()
	answers, err := listen(r.conn, inbox, req.Batch+1) // and the end of the batch
	if err != nil {
		return nil, 0, err
	}
	defer answers.close()
	if err := r.conn.PublishRequest(r.api, inbox, text); err != nil {
		return nil, 0, err
	}
	for {
		m, err := answers.next(ctx)
		if err != nil {
			return nil, 0, err
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204": // the end of a batch
			return got, pending, nil
		case "404":
			return nil, 0, nil
		case "503":
			return nil, 0, nats.ErrNoResponders
		default:
			return nil, 0, fmt.Errorf("%w: status %s %s", errAnswer, status, m.Header.Get("Description"))
		}
		e, left, err := r.entry(m)
		if err != nil {
			return nil, 0, err
		}
		got, pending = append(got, e), left
		if req.Batch == 0 {
			return got, 0, nil
		}
	}
}

// led asks the store that leads for the first entry from a place on.
func (r *reader) led(ctx context.Context, place uint64) (e Entry, ok bool, err error) {
	text, err := json.Marshal(request{Seq: place, NextFor: r.subject})
	if err != nil {
		return Entry{}, false, err
	}
	m, err := r.conn.RequestWithContext(ctx, r.leader, text)
	if err != nil {
		return Entry{}, false, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *struct {
			Seq  uint64    `json:"seq"`
			Time time.Time `json:"time"`
			Head []byte    `json:"hdrs"`
			Data []byte    `json:"data"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(m.Data, &answer); {
	case err != nil:
		return Entry{}, false, fmt.Errorf("%w: %w", errAnswer, err)
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return Entry{}, false, nil
	case answer.Error != nil:
		return Entry{}, false, answer.Error
	case answer.Message == nil || answer.Message.Seq < place:
		return Entry{}, false, fmt.Errorf("%w: no message", errAnswer)
	}
	head, err := nats.DecodeHeadersMsg(answer.Message.Head)
	if err != nil && len(answer.Message.Head) > 0 {
		return Entry{}, false, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return Entry{
		Seq: answer.Message.Seq, Time: answer.Message.Time, Topic: r.topic, ID: head.Get(nats.MsgIdHdr), Data: answer.Message.Data,
	}, true, nil
}

// entry reads one answer.
func (r *reader) entry(m *nats.Msg) (e Entry, pending int, err error) {
	seq, err1 := strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64)
	at, err2 := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	if s := m.Header.Get("Nats-Num-Pending"); s != "" {
		pending, err = strconv.Atoi(s)
	}
	if err := errors.Join(err, err1, err2); err != nil || seq == 0 || pending < 0 {
		return Entry{}, 0, fmt.Errorf("%w: %w", errAnswer, err)
	}
	return Entry{Seq: seq, Time: at, Topic: r.topic, ID: m.Header.Get(nats.MsgIdHdr), Data: m.Data}, pending, nil
}
