package quorum

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/kith-mesh/kith/internal/codec"
)

// TestRecordGolden pins what the stores keep: docs/wire/quorum.md.
func TestRecordGolden(t *testing.T) {
	r := &record{
		Node: "a@h", Incarnation: 7, Token: 9, Value: []byte("v"), Mark: "m", Seconds: 10, Group: "g",
		Members: []member{{Node: "a@h", Handle: "m"}},
	}
	const want = "a8016361406802070309044176" + "05616d060a07616708" + "81a2016361406802616d"
	data, err := codec.Marshal(r)
	fatal(t, err)
	if got := hex.EncodeToString(data); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	back, err := decode("k", data)
	if err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("got %+v, %v", back, err)
	}
}

// FuzzRecord: whatever stands in the stores, reading it does not panic, and what is read can be written again.
func FuzzRecord(f *testing.F) {
	data, err := codec.Marshal(&record{Node: "a@h", Value: []byte("v"), Mark: "m", Members: []member{{"a@h", "m"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte{})
	f.Add([]byte{0xa1, 0x08, 0x81, 0xa0})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decode("k", data)
		if err != nil {
			return
		}
		_ = r.holder(3)
		again, err := codec.Marshal(r)
		fatal(t, err)
		back, err := decode("k", again)
		fatal(t, err)
		if back.Node != r.Node || !bytes.Equal(back.Value, r.Value) || len(back.Members) != len(r.Members) {
			t.Errorf("%+v became %+v", r, back)
		}
	})
}
