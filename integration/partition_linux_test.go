package integration

import (
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
}

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
