package wire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/kith-mesh/kith/internal/codec"
)

func TestFramesRoundTrip(t *testing.T) {
	type frame struct {
		protocol byte
		part     Part
		payload  []byte
	}
	rapid.Check(t, func(t *rapid.T) {
		frames := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) frame {
			return frame{
				protocol: byte(rapid.IntRange(0, 63).Draw(t, "protocol")),
				part:     Part(rapid.IntRange(0, 3).Draw(t, "part")),
				payload:  bytes.Repeat([]byte{7}, rapid.SampledFrom([]int{0, 1, 127, 128, 300, 16383, 16384}).Draw(t, "length")),
			}
		}), 0, 8).Draw(t, "frames")
		var data []byte
		for _, f := range frames {
			cut := rapid.IntRange(0, len(f.payload)).Draw(t, "cut")
			before := len(data)
			data = AppendFrame(data, f.protocol, f.part, f.payload[:cut], f.payload[cut:])
			if got := len(data) - before; got != FrameSize(len(f.payload)) {
				t.Fatalf("a frame of %d bytes takes %d, FrameSize says %d", len(f.payload), got, FrameSize(len(f.payload)))
			}
		}
		for i, want := range frames {
			var got frame
			var err error
			if got.protocol, got.part, got.payload, data, err = NextFrame(data); err != nil {
				t.Fatalf("frame %d: %v", i, err)
			}
			if got.protocol != want.protocol || got.part != want.part || !bytes.Equal(got.payload, want.payload) {
				t.Fatalf("frame %d is %v, want %v", i, got, want)
			}
			if cap(got.payload) != len(got.payload) {
				t.Fatalf("appending to the payload of frame %d would overwrite the next", i)
			}
		}
		if len(data) != 0 {
			t.Fatalf("%d bytes are left", len(data))
		}
	})
}

func TestBatchRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Batch{rapid.Uint64().Draw(t, "conn"), rapid.Uint64().Draw(t, "first"), rapid.Uint32().Draw(t, "count")}
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		buf := make([]byte, BatchSize, BatchSize+len(body))
		PutBatch(buf, want)
		got, rest, err := ParseBatch(append(buf, body...))
		if err != nil || got != want || !bytes.Equal(rest, body) {
			t.Fatalf("%+v, %x, %v; want %+v, %x", got, rest, err, want, body)
		}
	})
}

func TestBroadcastRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Incarnations differ from each other and from 1, which stands for a node that is not listed.
		n := rapid.IntRange(0, 40).Draw(t, "receivers")
		entries := make([]Entry, n)
		for i := range entries {
			entries[i] = Entry{uint64(i) + 2, rapid.Uint64().Draw(t, "conn"), rapid.Uint64().Draw(t, "first")}
		}
		count := rapid.Uint32().Draw(t, "count")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		buf := make([]byte, BroadcastSize(n), BroadcastSize(n)+len(body))
		data := append(PutBroadcast(buf, entries, count), body...)
		for _, e := range entries {
			b, frames, listed, err := ParseBroadcast(data, e.Incarnation)
			if err != nil || !listed || b != (Batch{e.Conn, e.First, count}) || !bytes.Equal(frames, body) {
				t.Fatalf("entry %+v: %+v, %x, %v, %v", e, b, frames, listed, err)
			}
		}
		if _, _, listed, err := ParseBroadcast(data, 1); listed || err != nil {
			t.Fatalf("a node that is not listed: %v, %v", listed, err)
		}
	})
}

func TestMarkAndFenceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Uint64().Draw(t, "a"), rapid.Uint64().Draw(t, "b")
		if conn, last, err := ParseMark(AppendMark(nil, a, b)); conn != a || last != b || err != nil {
			t.Fatalf("mark: %d, %d, %v", conn, last, err)
		}
		if token, err := ParseFence(AppendFence(nil, a)); token != a || err != nil {
			t.Fatalf("fence: %d, %v", token, err)
		}
	})
}

func TestControlRoundTrip(t *testing.T) {
	text := rapid.StringN(0, 20, 60)
	generator := rapid.Custom(func(t *rapid.T) Control {
		c := Control{
			Verb: Verb(rapid.IntRange(1, 255).Draw(t, "verb")),
			From: Info{
				Name: rapid.StringMatching(`[a-zA-Z0-9_-]{1,9}@[a-z]{1,9}`).Draw(t, "name"), Incarnation: rapid.Uint64Min(1).Draw(t, "incarnation"),
				Hidden: rapid.Bool().Draw(t, "hidden"), Addr: text.Draw(t, "addr"), Version: text.Draw(t, "version"),
				Settled: rapid.Bool().Draw(t, "settled"), Draining: rapid.Bool().Draw(t, "draining"),
			},
			Conn: rapid.Uint64().Draw(t, "conn"), Why: text.Draw(t, "why"), Detail: text.Draw(t, "detail"),
			Prev: rapid.Uint64().Draw(t, "prev"), PrevWhy: text.Draw(t, "prevwhy"),
			Interval: time.Duration(rapid.Int64().Draw(t, "interval")), Last: rapid.Uint64().Draw(t, "last"),
			Taken: rapid.Uint64().Draw(t, "taken"), Window: rapid.Uint64().Draw(t, "window"),
			Token: rapid.Uint64().Draw(t, "token"), Echo: rapid.Uint64().Draw(t, "echo"),
		}
		if n := rapid.IntRange(0, 3).Draw(t, "features"); n > 0 {
			c.From.Features = rapid.SliceOfN(text, n, n).Draw(t, "feature")
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		want := generator.Draw(t, "control")
		got, err := DecodeControl(want.Encode())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, %v; want %+v", got, err, want)
		}
		data := want.EncodeOrdered()
		if kind, err := Peek(data); kind != TypeControl || err != nil {
			t.Fatalf("in order it is of type %v, %v", kind, err)
		}
		if got, err = DecodeOrderedControl(data); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("in order: %+v, %v; want %+v", got, err, want)
		}
	})
}

// A later version may append to a header: what this version knows must still be found, and the rest skipped.
func TestLongerHeadersAreTolerated(t *testing.T) {
	longer := func(data []byte, headerSize int) []byte {
		grown := append([]byte(nil), data[:headerSize]...)
		grown = append(grown, 0xAA, 0xBB, 0xCC)
		grown[2] += 3
		return append(grown, data[headerSize:]...)
	}
	body := AppendFrame(nil, 5, Whole, []byte("body"))
	batch := make([]byte, BatchSize)
	PutBatch(batch, Batch{Conn: 1, First: 2, Count: 1})
	if b, frames, err := ParseBatch(longer(append(batch, body...), BatchSize)); err != nil || b.Count != 1 || !bytes.Equal(frames, body) {
		t.Errorf("batch: %+v, %x, %v", b, frames, err)
	}
	cast := PutBroadcast(make([]byte, BroadcastSize(1)), []Entry{{Incarnation: 9, Conn: 8, First: 7}}, 1)
	b, frames, listed, err := ParseBroadcast(longer(append(cast, body...), BroadcastSize(0)), 9)
	if err != nil || !listed || b != (Batch{8, 7, 1}) || !bytes.Equal(frames, body) {
		t.Errorf("broadcast: %+v, %x, %v, %v", b, frames, listed, err)
	}
	if conn, last, err := ParseMark(longer(AppendMark(nil, 3, 4), MarkSize)); conn != 3 || last != 4 || err != nil {
		t.Errorf("mark: %d, %d, %v", conn, last, err)
	}
	if token, err := ParseFence(longer(AppendFence(nil, 5), FenceSize)); token != 5 || err != nil {
		t.Errorf("fence: %d, %v", token, err)
	}
	tick := Control{Verb: Tick, From: Info{Name: "a@b", Incarnation: 1}, Conn: 6}
	if c, err := DecodeOrderedControl(longer(tick.EncodeOrdered(), prefixSize)); err != nil || c.Conn != 6 {
		t.Errorf("control: %+v, %v", c, err)
	}
}

// A later version may add fields: they are ignored, wherever they stand.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	data, err := codec.Marshal(map[int]any{
		1: Tick, 2: map[int]any{1: "a@b", 2: 77, 99: []any{"new", map[string]int{"x": 1}}}, 3: 6,
		50: "new", 200: []int{1, 2, 3}, -1: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := DecodeControl(data)
	want := Control{Verb: Tick, From: Info{Name: "a@b", Incarnation: 77}, Conn: 6}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, %v; want %+v", c, err, want)
	}
}

func TestPeek(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want Type
		err  error
	}{
		"empty":         {nil, 0, ErrCorrupt},
		"short":         {[]byte{1, 1}, 0, ErrCorrupt},
		"other_version": {[]byte{2, 1, 3}, 0, ErrVersion},
		"version_zero":  {[]byte{0, 1, 3}, 0, ErrVersion},
		"known":         {[]byte{1, 4, 3}, TypeMark, nil},
		"unknown_type":  {[]byte{1, 200, 3}, 200, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Peek(c.data); got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%v, %v; want %v, %v", got, err, c.want, c.err)
			}
		})
	}
}

// Every proper prefix of a message is an error, never a message with other content.
func TestCutShort(t *testing.T) {
	batch := make([]byte, BatchSize)
	PutBatch(batch, Batch{Conn: 1, First: 2, Count: 1})
	tick := Control{Verb: Tick, From: Info{Name: "a@b", Incarnation: 1}, Conn: 6}
	for name, c := range map[string]struct {
		data   []byte
		decode func([]byte) error
	}{
		"batch": {batch, func(b []byte) error { _, _, err := ParseBatch(b); return err }},
		"broadcast": {
			PutBroadcast(make([]byte, BroadcastSize(2)), []Entry{{9, 8, 7}, {6, 5, 4}}, 1),
			func(b []byte) error { _, _, _, err := ParseBroadcast(b, 9); return err },
		},
		"mark":            {AppendMark(nil, 1, 2), func(b []byte) error { _, _, err := ParseMark(b); return err }},
		"fence":           {AppendFence(nil, 1), func(b []byte) error { _, err := ParseFence(b); return err }},
		"control":         {tick.Encode(), func(b []byte) error { _, err := DecodeControl(b); return err }},
		"ordered_control": {tick.EncodeOrdered(), func(b []byte) error { _, err := DecodeOrderedControl(b); return err }},
		"frame": {
			AppendFrame(nil, 3, Whole, bytes.Repeat([]byte("x"), 200)),
			func(b []byte) error { _, _, _, _, err := NextFrame(b); return err },
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.decode(c.data); err != nil {
				t.Fatalf("whole: %v", err)
			}
			for n := range c.data {
				if err := c.decode(c.data[:n]); !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%d of %d bytes: %v", n, len(c.data), err)
				}
			}
		})
	}
}

func TestControlWithoutSenderOrVerb(t *testing.T) {
	for _, c := range []Control{
		{}, {Verb: Tick}, {From: Info{Name: "a@b", Incarnation: 1}}, {Verb: Tick, From: Info{Incarnation: 1}},
		{Verb: Tick, From: Info{Name: "a@b@c", Incarnation: 1}}, {Verb: Tick, From: Info{Name: "a b@c", Incarnation: 1}},
	} {
		if _, err := DecodeControl(c.Encode()); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestVerbNames(t *testing.T) {
	for v := Knock; v <= Announce; v++ {
		if strings.HasPrefix(v.String(), "verb-") || v.String() == "" {
			t.Errorf("verb %d has no name", v)
		}
	}
	if got := Verb(99).String(); got != "verb-99" {
		t.Errorf("an unknown verb prints %q", got)
	}
}
