package global

import (
	"errors"
	"testing"
)

// TestSpacesApart (GLOB-26): a peer of another name space is not asked for anything, and gets nothing that it asks for.
func TestSpacesApart(t *testing.T) {
	for _, told := range []bool{false, true} { // whether the hello has come before the call
		w := newWorld(t.Fatalf, 2)
		a, b := w.nodes[0], w.nodes[1]
		w.cut(a, b)
		w.settle()
		b.c.space = "another"
		w.connect(a, b)
		if told {
			w.settle()
		} else {
			a.step(b)
		}
		var result error
		a.do(func() {
			var v Version
			e := Entry{Name: "x", PID: b.spawn(), Resolver: ResolveDefault}
			a.c.register(e, false, &v, a.asking("register", func(err error) { result = err }))
		})
		w.settle()
		if !errors.Is(result, ErrNotConnected) || a.c.shown("x") != nil || b.c.shown("x") != nil {
			t.Errorf("told %v: %v; %v, %v", told, result, a.c.shown("x"), b.c.shown("x"))
		}
		b.do(func() { // as if it did not heed what it was told
			p := b.c.peers[a.id]
			b.c.send(p, func(ops []byte) []byte {
				ops = append(appendID(ops, opLock, 1), 0)
				ops = appendVersion(appendString(appendString(ops, "r"), "me"), Version{})
				ops = append(appendID(ops, opClaim, 2), 0)
				return append(appendString(ops, "y"), 1)
			})
		})
		w.settle()
		if len(a.c.locks.table) != 0 || len(a.c.reserved) != 0 {
			t.Errorf("told %v: locks %v, reserved %v", told, a.c.locks.table, a.c.reserved)
		}
	}
}
