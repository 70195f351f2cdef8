package process

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files of the frames anew")

// goldenFrames has one frame of each kind. The files keep the format fixed: what an older version wrote must be read
// for ever, so an existing file is never written anew but for a mistake.
var goldenFrames = map[string]frame{
	"send":      {kind: frameSend, to: 42, body: []byte("\xf6\x65hello")},
	"send_name": {kind: frameSendName, name: "counter", body: []byte("\x63int\x05")},
	"send_ack":  {kind: frameSendAck, to: 42, ref: 300, body: []byte("\xf6\xf6")},
	"ack":       {kind: frameAck, ref: 300, aux: ackMailboxFull},
	"monitor":   {kind: frameMonitor, ref: 7, name: "counter"},
	"demonitor": {kind: frameDemonitor, ref: 7},
	"down":      {kind: frameDown, ref: 7, body: goldenReason(ErrKilled)},
	"link":      {kind: frameLink, to: 42, from: 1},
	"unlink":    {kind: frameUnlink, to: 42, from: 1, ref: 8},
	"unlinked":  {kind: frameUnlinked, to: 1, from: 42, ref: 8},
	"exit":      {kind: frameExit, to: 42, from: 1, body: goldenReason(fmt.Errorf("%w: enough", ErrShutdown))},
	"link_exit": {kind: frameLinkExit, to: 1, from: 42, body: goldenReason(&PanicError{Value: "x", Stack: []byte("here")})},
	"spawn":     {kind: frameSpawn, from: 1, ref: 9, aux: spawnLinked | spawnMonitored, body: []byte("\xa0")},
	"spawned":   {kind: frameSpawned, to: 43, ref: 9},
}

func goldenReason(err error) []byte {
	var g registry
	g.init()
	return g.now.Load().encodeReason(err)
}

func TestFrame(t *testing.T) {
	t.Run("golden", func(t *testing.T) {
		if len(goldenFrames) != int(frameKinds)-1 {
			t.Fatalf("%d golden frames for %d kinds", len(goldenFrames), frameKinds-1)
		}
		for name, f := range goldenFrames {
			path := filepath.Join("testdata", "frames", name+".hex")
			data := append(f.appendHead(nil), f.body...)
			if *update {
				if err := os.WriteFile(path, []byte(hex.EncodeToString(data)+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := hex.DecodeString(strings.TrimSpace(string(text)))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(data, want) {
				t.Errorf("%s is written as %x, was %x", name, data, want)
			}
			got, err := parseFrame(want)
			if err != nil {
				t.Fatal(err)
			}
			if len(got.body) == 0 {
				got.body = nil
			}
			if !reflect.DeepEqual(got, f) {
				t.Errorf("%s is read as %+v", name, got)
			}
		}
	})
	t.Run("round_trip", rapid.MakeCheck(func(t *rapid.T) {
		u := rapid.Uint64()
		f := frame{kind: frameKind(rapid.IntRange(1, int(frameKinds)-1).Draw(t, "kind")), body: []byte{}}
		mask := layout[f.kind]
		for bit, field := range [...]*uint64{&f.to, &f.from, &f.ref, &f.aux} {
			if mask&(1<<bit) != 0 {
				*field = u.Draw(t, "field")
			}
		}
		if mask&hasName != 0 {
			f.name = rapid.String().Draw(t, "name")
		}
		f.body = append(f.body, rapid.SliceOf(rapid.Byte()).Draw(t, "body")...)
		got, err := parseFrame(append(f.appendHead(nil), f.body...))
		if err != nil || !reflect.DeepEqual(got, f) {
			t.Fatalf("%+v becomes %+v, %v", f, got, err)
		}
	}))
	t.Run("newer_version", func(t *testing.T) {
		// a header that has grown, and a kind that was added
		f, err := parseFrame([]byte{byte(frameSend), 3, 42, 1, 2, 'b'})
		if err != nil || f.to != 42 || string(f.body) != "b" {
			t.Fatal(f, err)
		}
		if _, err := parseFrame([]byte{200, 0}); !errors.Is(err, errUnknownFrame) {
			t.Fatal(err)
		}
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		net.join("a@h", "b@h")
		net.settle()
		_ = a.net.Post(b.id, 1, []byte{200, 0})
		for _, bad := range [][]byte{{}, {1}, {byte(frameSend), 9, 1}, {byte(frameSend), 0}, {byte(frameSendName), 1, 5}} {
			_ = a.net.Post(b.id, 1, bad)
		}
		net.settle()
		if s := b.Stats(); s.UnknownFrames != 1 || s.BadFrames != 5 {
			t.Fatalf("%+v", s)
		}
	})
}

func FuzzParseFrame(f *testing.F) {
	for _, fr := range goldenFrames {
		f.Add(append(fr.appendHead(nil), fr.body...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		fr, err := parseFrame(data)
		if err != nil {
			return
		}
		again, err := parseFrame(append(fr.appendHead(nil), fr.body...))
		if err != nil || !reflect.DeepEqual(fr, again) {
			t.Fatalf("%+v becomes %+v, %v", fr, again, err)
		}
	})
}

// FuzzHandler feeds a runtime whatever a broken peer may send.
func FuzzHandler(f *testing.F) {
	for _, fr := range goldenFrames {
		f.Add(append(fr.appendHead(nil), fr.body...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		net := newMemNet(t)
		a, b := net.start("a@h"), net.start("b@h")
		defer func() { _, _ = a.Close(), b.Close() }()
		p := b.Attach(WithTrapExit())
		net.join("a@h", "b@h")
		net.settle()
		_ = a.net.Post(b.id, 1, data)
		net.settle()
		for {
			if _, ok := p.TryReceive(); !ok {
				return
			}
		}
	})
}
