package global

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/kith-mesh/kith/node"
	"github.com/kith-mesh/kith/process"
)

// goldens are one frame of each kind of content.
func goldens() map[string][]byte {
	v := Version{Clock: 0x0102030405060708, Node: 0x1112131415161718}
	pid := process.PID{Node: "a@h", Incarnation: 0x2122232425262728, ID: 300}
	e := &entry{Entry: Entry{Name: "n", PID: pid, Version: v, Resolver: ResolveDefault}}
	full := &entry{Entry: Entry{Name: "n", PID: pid, Version: v, Resolver: "r", Meta: Meta{"k": "v", "a": "b"}}, moved: true, claim: &claim{}}
	head := appendHeader(nil, 5, 300)
	return map[string][]byte{
		"set":      appendSet(head[:len(head):len(head)], e, flagSync),
		"set_full": appendSet(head[:len(head):len(head)], full, 0),
		"del":      appendDel(head[:len(head):len(head)], "n", Exited),
		"answer":   appendAnswer(head[:len(head):len(head)], 7, &TakenError{Name: "n", Holder: pid}),
		"grant":    appendVersion(appendID(head[:len(head):len(head)], opGrant, 7), v),
	}
}

// TestGolden pins the bytes of the frames.
func TestGolden(t *testing.T) {
	for name, frame := range goldens() {
		path := filepath.Join("testdata", name+".hex")
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(path, []byte(hex.EncodeToString(frame)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString(frame) + "\n"; got != string(want) {
			t.Errorf("%s is\n%s, was\n%s", name, got, want)
		}
	}
}

// TestClockOutOfRange has a peer tell of a version that no clock makes: it is refused, and names go on to be registered.
func TestClockOutOfRange(t *testing.T) {
	w := newWorld(t.Fatalf, 3)
	for _, tc := range []struct {
		clock uint64
		bad   bool
	}{{1<<63 - 1, true}, {uint64(w.now.AddDate(101, 0, 0).UnixMilli()) << logicalBits, true}, {uint64(w.now.AddDate(99, 0, 0).UnixMilli()) << logicalBits, false}} {
		a, b := w.nodes[0], w.nodes[1]
		e := &entry{Entry: Entry{Name: "bad", PID: b.spawn(), Version: Version{Clock: tc.clock, Node: 1}, Resolver: ResolveDefault}}
		a.do(func() {
			err := a.c.frame(a.c.peers[b.id], &reader{b: appendSet(appendHeader(nil, 0, 0), e, 0)})
			if (err != nil) != tc.bad {
				t.Errorf("clock %x: %v", tc.clock, err)
			}
			if !tc.bad {
				a.c.onDel(a.c.peers[b.id], "bad", ByCall)
			}
		})
		for i, s := range w.nodes {
			name := "good-" + string(rune('a'+i))
			s.do(func() {
				var v Version
				s.c.several = true
				s.c.register(Entry{Name: name, PID: s.spawn(), Resolver: ResolveDefault}, false, &v, s.asking("register", func(err error) {
					if err != nil {
						t.Errorf("%s after clock %x: %v", name, tc.clock, err)
					}
				}))
			})
			w.settle()
			s.do(func() { s.c.unregister(name, func(error) {}) })
			w.settle()
		}
		w.check()
	}
}

// FuzzFrame feeds a core with anything: it must not panic, and must go on.
func FuzzFrame(f *testing.F) {
	for _, frame := range goldens() {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t.Fatalf, 2)
		w.unquiet = true
		a, b := w.nodes[0], w.nodes[1]
		a.do(func() {
			var v Version
			a.c.register(Entry{Name: "n", PID: a.spawn(), Resolver: ResolveDefault}, false, &v, func(error) {})
		})
		w.settle()
		a.do(func() { _ = a.c.frame(a.c.peers[b.id], &reader{b: data}) })
		a.do(func() { a.c.peerDown(node.ID{Name: "nobody"}) })
	})
}
