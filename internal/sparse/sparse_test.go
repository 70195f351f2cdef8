package sparse

import (
	"testing"
	"time"
)

func TestGate(t *testing.T) {
	var g Gate
	at := time.Now()
	for i, row := range []struct {
		after   time.Duration
		ok      bool
		leftOut int
	}{
		{0, true, 0}, {time.Second, false, 0}, {Quiet - 1, false, 0}, {Quiet, true, 2}, {2*Quiet - 1, false, 0}, {2 * Quiet, true, 1}, {3 * Quiet, true, 0},
	} {
		if ok, leftOut := g.Next(at.Add(row.after)); ok != row.ok || leftOut != row.leftOut {
			t.Errorf("line %d: %v, %d left out", i, ok, leftOut)
		}
	}
	if g.Allow(at.Add(3*Quiet + 1)) {
		t.Error("too soon")
	}
}
