package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// golden is one message of the format, with what it must decode to.
type golden struct {
	name    string
	data    []byte
	control *Control // what it says, if it is a control message
}

// goldens are messages of each kind. Version 1 is what their files say: a change here is a change of the format.
func goldens() []golden {
	batch := make([]byte, BatchSize)
	PutBatch(batch, Batch{Conn: 0x1122334455667788, First: 41, Count: 4})
	batch = AppendFrame(batch, 1, Whole, []byte("hello"))
	batch = AppendFrame(batch, 2, First, []byte{1, 3}, []byte("a"))
	batch = AppendFrame(batch, 2, More, []byte{1}, []byte("bc"))
	batch = AppendFrame(batch, 63, Abort, []byte{2})
	opening := make([]byte, BatchSize)
	PutBatch(opening, Batch{Conn: 0x1122334455667788, First: 1})
	cast := PutBroadcast(make([]byte, BroadcastSize(2)), []Entry{
		{Incarnation: 0x0102030405060708, Conn: 0x1122334455667788, First: 45}, {Incarnation: 9, Conn: 10, First: 11},
	}, 1)
	list := []golden{
		{name: "batch", data: batch},
		{name: "batch_opening", data: opening},
		{name: "batch_long_frame", data: AppendFrame(append([]byte(nil), opening...), 3, Whole, bytes.Repeat([]byte{0xab}, 200))},
		{name: "broadcast", data: AppendFrame(cast, 2, Whole, []byte("to all"))},
		{name: "mark", data: AppendMark(nil, 0x1122334455667788, 45)},
		{name: "fence", data: AppendFence(nil, 17)},
	}
	full := Info{
		Name: "alice@127.0.0.1", Incarnation: 0x1f0c5a7be2d94d11, Hidden: true, Addr: "127.0.0.1:4369", Version: "v0.1.0",
		Settled: true, Features: []string{"x", "y"},
	}
	brief := Info{Name: "alice@127.0.0.1", Incarnation: 0x1f0c5a7be2d94d11}
	const conn = 0x1122334455667788
	controls := []Control{
		{Verb: Knock, From: full, Window: 1 << 22, Interval: time.Second},
		{Verb: Hello, From: full, Conn: conn, Window: 1 << 22, Interval: time.Second, Prev: 77, PrevWhy: "gap"},
		{Verb: Welcome, From: brief, Conn: conn, Window: 1 << 22, Interval: 250 * time.Millisecond},
		{Verb: Refuse, From: brief, Why: "name_in_use", Detail: "this node has the name"},
		{Verb: Bye, From: brief, Conn: conn, Why: "shutdown", Detail: "the node leaves"},
		{Verb: ByeSeen, From: brief, Conn: conn},
		{Verb: Tick, From: brief, Conn: conn, Interval: time.Second, Last: 45, Taken: 99_999, Window: 1 << 22, Token: 7},
		{Verb: Ack, From: brief, Conn: conn, Taken: 99_999, Window: 1 << 22, Echo: 7},
		{Verb: Mark, From: brief, Conn: conn},
		{Verb: Probe, From: brief, Conn: conn, Token: 8},
		{Verb: Alive, From: brief, Conn: conn, Token: 8},
		{Verb: Announce, From: full},
		{Verb: Challenge, From: brief, Conn: conn, Token: 9},
	}
	leaving := brief
	leaving.Draining = true
	proven := Control{
		Verb: Hello, From: full, Conn: conn, Window: 1 << 22, Interval: time.Second, Echo: 9,
		Chain: [][]byte{{0x30, 1}, {0x30, 2}}, Sig: []byte{1, 2, 3, 4},
	}
	draining := Control{Verb: Tick, From: leaving, Conn: conn, Interval: time.Second, Token: 7}
	list = append(list, golden{name: "control_hello_proven", data: proven.Encode(), control: &proven},
		golden{name: "control_tick_draining", data: draining.Encode(), control: &draining})
	for _, c := range controls {
		list = append(list, golden{name: "control_" + c.Verb.String(), data: c.Encode(), control: &c})
	}
	list = append(list, golden{name: "ordered_hello", data: controls[1].EncodeOrdered()})
	return list
}

func TestGolden(t *testing.T) {
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			path := filepath.Join("testdata", g.name+".hex")
			if *update {
				if err := os.WriteFile(path, []byte(wrap(g.data)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := hex.DecodeString(string(bytes.ReplaceAll(bytes.TrimSpace(text), []byte("\n"), nil)))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(g.data, want) {
				t.Errorf("the format has changed:\n%swant\n%s", wrap(g.data), wrap(want))
			}
			if g.control != nil {
				if got, err := DecodeControl(want); err != nil || !reflect.DeepEqual(got, *g.control) {
					t.Errorf("it reads as %+v, %v; want %+v", got, err, *g.control)
				}
			}
		})
	}
}

// What is not a golden file any more must go, or it would look like a promise.
func TestGoldenFilesAreCurrent(t *testing.T) {
	known := map[string]bool{}
	for _, g := range goldens() {
		known[g.name+".hex"] = true
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.IsDir() && !known[f.Name()] {
			t.Errorf("testdata/%s belongs to no message", f.Name())
		}
	}
}

func TestGoldenBatchReadsBack(t *testing.T) {
	data := goldens()[0].data
	b, frames, err := ParseBatch(data)
	if err != nil || b != (Batch{0x1122334455667788, 41, 4}) {
		t.Fatalf("%+v, %v", b, err)
	}
	for i, want := range []struct {
		protocol byte
		part     Part
		payload  string
	}{{1, Whole, "hello"}, {2, First, "\x01\x03a"}, {2, More, "\x01bc"}, {63, Abort, "\x02"}} {
		protocol, part, payload, rest, err := NextFrame(frames)
		if err != nil || protocol != want.protocol || part != want.part || string(payload) != want.payload {
			t.Errorf("frame %d: %d, %d, %q, %v; want %v", i, protocol, part, payload, err, want)
		}
		frames = rest
	}
	if _, _, _, _, err := NextFrame(frames); !errors.Is(err, ErrCorrupt) {
		t.Errorf("behind the last frame: %v", err)
	}
}

// wrap is data as lines of 32 bytes in hex.
func wrap(data []byte) string {
	var lines bytes.Buffer
	for len(data) > 0 {
		n := min(32, len(data))
		lines.WriteString(hex.EncodeToString(data[:n]) + "\n")
		data = data[n:]
	}
	return lines.String()
}
