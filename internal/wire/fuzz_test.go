package wire

import (
	"bytes"
	"runtime"
	"testing"
	"time"
)

// seeds gives a fuzz target the golden messages to start from.
func seeds(f *testing.F) {
	for _, g := range goldens() {
		f.Add(g.data)
	}
	f.Add([]byte{})
	f.Add([]byte{1, 1, 255})
	f.Add(bytes.Repeat([]byte{0xff}, 40))
}

func FuzzBatch(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		b, frames, err := ParseBatch(data)
		if err != nil {
			return
		}
		if len(frames) > len(data)-BatchSize {
			t.Fatalf("%d bytes of frames in %d bytes", len(frames), len(data))
		}
		walkFrames(t, b, frames)
	})
}

// walkFrames reads frames as the dispatcher does. It must end, whatever the count says, and never leave the message.
func walkFrames(t *testing.T, b Batch, frames []byte) {
	for n := uint32(0); n < b.Count; n++ {
		_, part, payload, rest, err := NextFrame(frames)
		if err != nil {
			return
		}
		if part > Abort || len(rest)+len(payload) >= len(frames) {
			t.Fatalf("part %d: %d and %d bytes out of %d", part, len(payload), len(rest), len(frames))
		}
		frames = rest
	}
}

func FuzzBroadcast(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, incarnation := range []uint64{0, 9, 0x0102030405060708} {
			b, frames, listed, err := ParseBroadcast(data, incarnation)
			if err == nil && listed {
				if len(frames) > len(data)-BroadcastSize(1) {
					t.Fatalf("%d bytes of frames in %d bytes", len(frames), len(data))
				}
				walkFrames(t, b, frames)
			}
		}
	})
}

func FuzzMark(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if conn, last, err := ParseMark(data); err == nil {
			if again := AppendMark(nil, conn, last); !bytes.Equal(again[3:], data[3:MarkSize]) {
				t.Fatalf("%x reads as %d, %d", data, conn, last)
			}
		}
	})
}

func FuzzFence(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if token, err := ParseFence(data); err == nil {
			if again := AppendFence(nil, token); !bytes.Equal(again[3:], data[3:FenceSize]) {
				t.Fatalf("%x reads as %d", data, token)
			}
		}
	})
}

func FuzzPeek(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := Peek(data); err == nil && (len(data) < prefixSize || data[0] != Version) {
			t.Fatalf("%x is taken for a message", data)
		}
	})
}

func FuzzControl(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) { checkControl(t, data, DecodeControl) })
}

func FuzzOrderedControl(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) { checkControl(t, data, DecodeOrderedControl) })
}

// checkControl decodes within bounds: what decodes has a sender, holds no more than its bytes account for, and can be
// said again.
func checkControl(t *testing.T, data []byte, decode func([]byte) (Control, error)) {
	began := time.Now()
	c, err := decode(data)
	if took := time.Since(began); took > time.Second {
		t.Fatalf("decoding %d bytes took %v", len(data), took)
	}
	if err != nil {
		return
	}
	if c.Verb == 0 || c.From.Incarnation == 0 {
		t.Fatalf("%x decodes to %+v", data, c)
	}
	held := len(c.From.Name) + len(c.From.Addr) + len(c.From.Version) + len(c.Why) + len(c.Detail) + len(c.PrevWhy)
	for _, s := range c.From.Features {
		held += len(s) + 1
	}
	if held > len(data) {
		t.Fatalf("%d bytes decode to strings of %d", len(data), held)
	}
	again, err := DecodeControl(c.Encode())
	if err != nil {
		t.Fatalf("%+v cannot be said again: %v", c, err)
	}
	if again.Verb != c.Verb || again.Conn != c.Conn || again.From.Incarnation != c.From.Incarnation || again.Token != c.Token {
		t.Fatalf("%+v becomes %+v", c, again)
	}
}

// A few bytes that announce gigabytes must not make a decoder reserve them.
func TestAnnouncedSizesAreNotReserved(t *testing.T) {
	for name, data := range map[string][]byte{
		"text":     {0xa1, 0x04, 0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"list":     {0xa1, 0x02, 0xa1, 0x07, 0x9b, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff},
		"million":  {0xa1, 0x02, 0xa1, 0x07, 0x9a, 0x00, 0x0f, 0xff, 0xff},
		"map":      {0xbb, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff},
		"deep":     bytes.Repeat([]byte{0x81}, 10_000),
		"deep_map": bytes.Repeat([]byte{0xa1, 0x18, 0x40}, 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			const runs = 100
			var before, after runtime.MemStats
			var err error
			runtime.ReadMemStats(&before)
			for range runs {
				_, err = DecodeControl(data)
			}
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("it decodes")
			}
			if got := (after.TotalAlloc - before.TotalAlloc) / runs; got > 4<<10+8*uint64(len(data)) {
				t.Errorf("%d bytes allocated for %d of input", got, len(data))
			}
		})
	}
}
