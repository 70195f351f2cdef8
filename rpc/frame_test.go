package rpc

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldenFrames is one frame of each kind and shape. Their bytes are the protocol: a change here is a change of it.
var goldenFrames = []struct {
	name string
	f    frame
}{
	{"hello", frame{kind: frameHello, version: 1}},
	{"request", frame{kind: frameRequest, id: 300, content: CBOR, budget: 5 * time.Second, name: "kith.echo", payload: []byte{0x01}}},
	{"request_no_limit", frame{kind: frameRequest, id: 1, content: None, budget: -1, name: "f"}},
	{"request_no_time", frame{kind: frameRequest, id: 1, content: Bytes, budget: 0, name: "f", payload: []byte("raw")}},
	{"request_key", frame{kind: frameRequest, id: 2, content: JSON, budget: time.Millisecond, name: "pay", key: "k-1", payload: []byte("[1]")}},
	{"request_header", frame{
		kind: frameRequest, id: 3, content: CBOR, budget: -1, name: "f",
		header: Header{"trace": "t1", "a": ""}, payload: []byte{0xf6},
	}},
	{"request_stream", frame{kind: frameRequest, id: 4, content: CBOR, budget: -1, name: "f", stream: true, credit: 64, payload: []byte{0xf6}}},
	{"cast", frame{kind: frameRequest, content: CBOR, budget: -1, name: "f", cast: true, payload: []byte{0x18, 0x2a}}},
	{"answer", frame{kind: frameAnswer, id: 300, content: CBOR, payload: []byte{0x06}}},
	{"answer_none", frame{kind: frameAnswer, id: 300, content: None}},
	{"failure", frame{kind: frameFailure, id: 300, code: failNoFunction}},
	{"cancel", frame{kind: frameCancel, id: 300}},
	{"item", frame{kind: frameItem, id: 300, content: JSON, payload: []byte("6")}},
	{"end", frame{kind: frameEnd, id: 300}},
	{"credit", frame{kind: frameCredit, id: 300, credit: 32}},
	{"opened", frame{kind: frameOpened, id: 300}},
}

func TestFrameGolden(t *testing.T) {
	for _, g := range goldenFrames {
		t.Run(g.name, func(t *testing.T) {
			data := append(g.f.appendHead(nil), g.f.payload...)
			file := filepath.Join("testdata", "frames", g.name+".hex")
			if *update {
				if err := os.WriteFile(file, []byte(hex.EncodeToString(data)+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(data); got != strings.TrimSpace(string(want)) {
				t.Errorf("encoded\n%s, the protocol says\n%s", got, want)
			}
			var back frame
			if err := back.decode(data); err != nil {
				t.Fatal(err)
			}
			if !sameFrame(back, g.f) {
				t.Errorf("decoded %+v, want %+v", back, g.f)
			}
		})
	}
}

// sameFrame compares a decoded frame with one to encode.
func sameFrame(got, want frame) bool {
	got.name, got.fn = string(got.fn), nil
	if !bytes.Equal(got.payload, want.payload) {
		return false
	}
	got.payload, want.payload = nil, nil
	return reflect.DeepEqual(got, want)
}

func TestFrameRefused(t *testing.T) {
	req := func(rest ...byte) []byte { return append([]byte{byte(frameRequest)}, rest...) }
	for _, row := range []struct {
		name string
		data []byte
	}{
		{"empty", nil},
		{"unknown_kind", []byte{200, 1}},
		{"zero_kind", []byte{0}},
		{"no_id", []byte{byte(frameAnswer)}},
		{"id_zero", []byte{byte(frameCancel), 0}},
		{"id_without_end", []byte{byte(frameCancel), 0xff, 0xff}},
		{"id_too_long", append([]byte{byte(frameCancel)}, bytes.Repeat([]byte{0xff}, 11)...)},
		{"trailing", []byte{byte(frameCancel), 1, 1}},
		{"content_type", []byte{byte(frameAnswer), 1, 7}},
		{"no_content_type", []byte{byte(frameAnswer), 1}},
		{"credit_too_large", []byte{byte(frameCredit), 1, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		{"flag_of_the_future", req(flagUnknown, 1, 0, 1, 'f')},
		{"name_longer_than_frame", req(0, 1, 0, 9, 'f')},
		{"name_too_long", req(append([]byte{0, 1, 0, 0x80, 0x02}, bytes.Repeat([]byte{'f'}, 256)...)...)},
		{"key_empty", req(flagKey, 1, 0, 1, 'f', 0)},
		{"cast_with_id", req(flagCast, 1, 0, 1, 'f')},
		{"cast_of_a_stream", req(flagCast|flagStream, 0, 0, 1, 'f', 1)},
		{"stream_without_credit", req(flagStream, 1, 0, 1, 'f', 0)},
		{"stream_with_key", req(flagStream|flagKey, 1, 0, 1, 'f', 1, 'k', 1)},
		{"header_empty", req(flagHeader, 1, 0, 1, 'f', 0)},
		{"header_twice", req(flagHeader, 1, 0, 1, 'f', 2, 1, 'a', 0, 1, 'a', 0)},
		{"header_key_empty", req(flagHeader, 1, 0, 1, 'f', 1, 0, 0)},
		{"header_too_many", req(flagHeader, 1, 0, 1, 'f', 65)},
		{"budget_too_large", req(0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 'f')},
		{"call_without_id", req(0, 0, 0, 1, 'f')},
	} {
		t.Run(row.name, func(t *testing.T) {
			var f frame
			if err := f.decode(row.data); !errors.Is(err, errBadFrame) {
				t.Errorf("decode gave %v and %+v", err, f)
			}
		})
	}
}

func TestFrameBudget(t *testing.T) {
	for _, d := range []time.Duration{-1, 0, time.Microsecond, 1500 * time.Nanosecond, time.Second, maxTimeout} {
		back, ok := decodeBudget(encodeBudget(d))
		if !ok || back < d || back-d >= time.Microsecond {
			t.Errorf("%v travels as %v, %v", d, back, ok)
		}
	}
}

// FuzzFrame decodes what anybody might send, and checks that what is accepted means what it says.
func FuzzFrame(f *testing.F) {
	for _, g := range goldenFrames {
		f.Add(append(g.f.appendHead(nil), g.f.payload...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var fr frame
		if err := fr.decode(data); err != nil {
			return
		}
		again := fr
		again.name, again.fn = string(fr.fn), nil
		var back frame
		if err := back.decode(append(again.appendHead(nil), fr.payload...)); err != nil {
			t.Fatalf("%x was accepted, but not its own encoding: %v", data, err)
		}
		if !sameFrame(back, again) {
			if fr.kind == frameHello {
				return
			}
			t.Fatalf("%x means %+v, then %+v", data, again, back)
		}
	})
}

// FuzzFailure decodes the body of a failure, which a peer may fill with anything.
func FuzzFailure(f *testing.F) {
	for _, err := range []error{errors.New("x"), &panicError{"v", "s"}, &RemoteError{Kind: "k", Cause: &RemotePanic{Stack: "s"}}} {
		code, body := encodeFailure(err)
		f.Add(uint8(code), body)
	}
	f.Fuzz(func(t *testing.T, code uint8, body []byte) {
		err := decodeFailure("n@h", "f", failureCode(code), body)
		if err == nil || err.Error() == "" || ErrorKind(err) == "" {
			t.Fatalf("code %d: %v", code, err)
		}
	})
}
