package integration

import (
	"os"
	"testing"
	"time"
)

// healTime is how long two nodes may take to find each other again after a fault of a few seconds: TCP doubles its
// pauses while nothing gets through, and the keeper gives gossip its time before it dials.
const healTime = 5 * time.Second

// TestNetwork makes faults in a network between real processes, and checks what every node sees of them: whom it
// loses, why, and how soon; that it loses nobody else; that all are back soon after; and that nothing is left over.
func TestNetwork(t *testing.T) {
	t.Run("cut_link", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, netTick)
		pair := pairs([]int{2}, []int{3})
		cut := m.net.between([]int{2}, []int{3}, fault{cut: true})
		m.timesOut(cut, pair)
		m.partOf(1, 4)
		m.heal(pair, timedOut)
	})

	t.Run("cut_node", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, netTick)
		apart := pairs([]int{4}, []int{1, 2, 3})
		cut := m.net.between([]int{4}, []int{1, 2, 3}, fault{cut: true})
		m.timesOut(cut, apart)
		m.agree(1, 2, 3)
		m.agree(4)
		m.heal(apart, timedOut)
	})

	t.Run("halves", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, netTick)
		apart := pairs([]int{1, 2}, []int{3, 4})
		cut := m.net.between([]int{1, 2}, []int{3, 4}, fault{cut: true})
		m.timesOut(cut, apart)
		m.agree(1, 2)
		m.agree(3, 4)
		m.heal(apart, timedOut)
	})

	// The route between these two was dialled by address and not found by gossip.
	t.Run("cut_first_link", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, netTick)
		pair := pairs([]int{1}, []int{4})
		m.timesOut(m.net.between([]int{1}, []int{4}, fault{cut: true}), pair)
		m.partOf(2, 3)
		m.heal(pair, timedOut)
	})

	// Nobody hears n2 say anything to n3, while n3 still talks to n2. The session ends on both sides.
	t.Run("one_way", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, netTick)
		lossy := m.net.oneWay(2, 3, fault{cut: true})
		m.timesOut(lossy, []way{{3, 2}})
		// What n3 sends still arrives until it waits for acknowledgements: four ticks after that.
		m.after(lossy, []way{{2, 3}}, timedOut, 3*m.tick, patience)
		m.unheard(2, 3)
		m.partOf(1, 4)
		if m.net.lostPackets(2, 3) == 0 || m.net.lostPackets(3, 2) != 0 {
			t.Error("not the fault that was meant")
		}
		m.heal(pairs([]int{2}, []int{3}), timedOut)
	})

	// A cut that lasts until everybody has given up everything that TCP, the broker and the keeper do at first.
	t.Run("long_cut", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, netTick)
		pair := pairs([]int{2}, []int{3})
		m.timesOut(m.net.between([]int{2}, []int{3}, fault{cut: true}), pair)
		m.lasts(longCut())
		m.partOf(1, 4)
		m.heal(pair, timedOut)
	})

	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 3, 1, netTick)
		m.net.everywhere(fault{delay: 200 * time.Millisecond})
		m.boot(4, "n4")
		m.whole()
		m.mark()
		m.lasts(12 * m.tick)
		m.whole()
		m.ledger(nil)
		m.net.everywhere(fault{})
		m.whole()
		m.clean()
	})

	// With the usual interval.
	t.Run("lossy", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, time.Second)
		m.net.everywhere(fault{loss: 0.05})
		for range 8 {
			m.whole()
			m.lasts(time.Second)
		}
		if m.net.lostPackets(1, 2)+m.net.lostPackets(2, 3)+m.net.lostPackets(3, 4) == 0 {
			t.Error("nothing was lost")
		}
		m.ledger(nil)
		m.net.everywhere(fault{})
		m.clean()
	})

	t.Run("frozen", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, netTick)
		others := []way{{1, 3}, {2, 3}, {4, 3}}
		frozen := m.at(3)
		now := time.Now()
		frozen.freeze()
		m.timesOut(now, others)
		m.agree(1, 2, 4)
		now = time.Now()
		frozen.thaw()
		all := pairs([]int{3}, []int{1, 2, 4})
		m.after(now, all, up, 0, healTime)
		m.whole()
		m.ledger(all, timedOut, up)
		m.clean()
	})

	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 0, netTick)
		others := []way{{1, 3}, {2, 3}, {4, 3}}
		now := time.Now()
		m.at(3).kill()
		m.after(now, others, closed, 0, m.tick)
		<-m.at(3).done
		m.agree(1, 2, 4)
		now = time.Now()
		m.boot(3, "n3")
		m.after(now, others, up, 0, healTime)
		m.whole()
		m.ledger(others, closed, up)
		m.clean()
	})

	// The computer of n4 is gone without a word, and n4 starts on another one.
	t.Run("moved", func(t *testing.T) {
		t.Parallel()
		m := newNetMesh(t, 4, 1, netTick)
		others := []way{{1, 4}, {2, 4}, {3, 4}}
		now := m.net.between([]int{4}, []int{1, 2, 3, 5}, fault{cut: true})
		m.at(4).kill() // nobody hears that it ends
		<-m.at(4).done
		m.boot(5, "n4")
		m.after(now, others, timedOut, 0, 5*m.tick)
		m.after(now, others, up, 0, healTime)
		m.whole()
		m.ledger(others, timedOut, up)
	})
}

// longCut is how long a long cut lasts.
func longCut() time.Duration {
	if os.Getenv("KITH_SOAK") != "" {
		return 3 * time.Minute
	}
	return 25 * time.Second
}

// lasts lets a state last. Nothing is waited for: what must not happen in it is checked afterwards.
func (m *netMesh) lasts(d time.Duration) { <-time.After(d) }

// partOf checks that hosts which still reach everybody hear everybody.
func (m *netMesh) partOf(hosts ...int) {
	m.t.Helper()
	m.words++
	for _, i := range m.present() {
		m.at(i).say("word " + itoa(m.words))
	}
	for _, i := range hosts {
		for _, j := range m.present() {
			m.hears(i, j)
			m.hears(j, i)
		}
	}
}

// heal takes all faults away, and checks that everybody is back in time, that nobody else was ever lost, and that
// nothing is left over. down is the line that each first of the pairs wrote about the second.
func (m *netMesh) heal(apart []way, down string) {
	m.t.Helper()
	m.after(m.net.everywhere(fault{}), apart, up, 0, healTime)
	m.whole()
	m.ledger(apart, down, up)
	m.clean()
}
