package process

import "testing"

// TestLife: a life has ended when Alive has become false, seen from a goroutine that looks on, and stays so.
func TestLife(t *testing.T) {
	rt := alone(t)
	for range 200 {
		pid := rt.Spawn(stay)
		life := rt.Life(pid)
		if life.Ended() {
			t.Fatal("ended before its end")
		}
		watched := make(chan bool)
		go func() {
			for rt.Alive(pid) {
			}
			watched <- life.Ended()
		}()
		rt.Exit(pid, ErrKill)
		if !<-watched {
			t.Fatal("not alive, and not ended")
		}
		if !rt.Life(pid).Ended() {
			t.Fatal("a dead process has a life")
		}
	}
	for _, pid := range []PID{{}, {"elsewhere@h", 1, 1}, rt.pid(1 << 40)} {
		if !rt.Life(pid).Ended() {
			t.Errorf("%v has a life here", pid)
		}
	}
	if !(Life{}).Ended() {
		t.Error("the zero Life has not ended")
	}
}
