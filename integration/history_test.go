package integration

import (
	"strings"
	"testing"

	"github.com/kith-mesh/kith/internal/freeport"
)

// TestHistory: three store nodes keep what is said in a chat whose nodes do not know of them, also while one of the
// stores is dead.
func TestHistory(t *testing.T) {
	m := newMesh(t)
	var list []string
	addrs, err := freeport.Addrs(3)
	if err != nil {
		t.Fatal(err)
	}
	for i, addr := range addrs {
		list = append(list, "s"+itoa(i)+"@127.0.0.1="+addr)
	}
	var stores []*proc
	for i := range 3 {
		stores = append(stores, m.run("s"+itoa(i), "node", "--name", "s"+itoa(i), "--store", strings.Join(list, ",")))
	}
	for _, s := range stores {
		s.match(`^ready `)
	}
	ann := m.chat("ann")
	m.until("there is a history", func() bool {
		ann.say("/history")
		return ann.match(`^! `) == "! no older messages in lobby"
	})
	bob := m.chat("bob")
	ann.line("* bob joined lobby")
	bob.say("hello and bye")
	ann.line("[lobby] bob: hello and bye")
	bob.say("/quit")
	ann.line("* node down bob@127.0.0.1 (shutdown)")
	stores[0].kill()
	ann.match(`^\* node down s0@127\.0\.0\.1`)
	ann.say("/msg bob wait for me")
	ann.line("(dm to bob) wait for me")
	bob = m.chat("bob")
	bob.anyOrder("[lobby] bob: hello and bye", "(dm) ann: wait for me")
	if n := bob.count(`hello and bye`); n != 1 {
		t.Errorf("bob sees his message %d times", n)
	}
}
