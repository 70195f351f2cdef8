package integration

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestConversation: four people talk at once, without a pause. One of them is killed, one is frozen and comes back. The
// others lose nothing of each other, see each message once and in its sender's order, and go on.
func TestConversation(t *testing.T) {
	m := newMesh(t)
	people := map[string]*proc{}
	for _, nick := range []string{"alice", "bob", "carol", "dave"} {
		people[nick] = m.chat(nick, "--tick", "500ms")
	}
	alice, bob, carol, dave := people["alice"], people["bob"], people["carol"], people["dave"]
	m.meet(alice, bob, carol, dave)

	const count, half = 2000, 1000
	var talking sync.WaitGroup
	reached := make(chan struct{}, len(people))
	for nick, p := range people {
		talking.Go(func() {
			for i := range count {
				if i == half {
					reached <- struct{}{}
				}
				if _, err := fmt.Fprintf(p.stdin, "%d\n", i); err != nil && nick != "dave" {
					t.Errorf("%s cannot type: %v", nick, err)
					return
				}
				if i%10 == 0 {
					time.Sleep(5 * time.Millisecond) // people have to think
				}
			}
		})
	}
	for range people {
		<-reached
	}
	dave.kill()
	carol.freeze()
	for _, p := range []*proc{alice, bob} {
		p.line("* node down dave@127.0.0.1 (connection_closed)")
		p.line("* node down carol@127.0.0.1 (net_tick_timeout)")
	}
	carol.thaw()
	talking.Wait()
	for _, p := range []*proc{alice, bob} {
		p.line("* carol joined lobby")
	}
	m.meet(alice, bob, carol) // what she said before, she said alone
	carol.say(itoa(count))
	for _, p := range []*proc{alice, bob} {
		for _, nick := range []string{"alice", "bob"} {
			p.cursor = 0
			p.line(fmt.Sprintf("[lobby] %s: %d", nick, count-1))
			if n := p.count(`^\[lobby\] ` + nick + `: `); n != count {
				t.Errorf("%s sees %d of %d messages of %s", p.name, n, count, nick)
			}
		}
		p.cursor = 0
		p.lines("* carol left lobby (node down)", "* carol joined lobby", fmt.Sprintf("[lobby] carol: %d", count))
		p.inOrder()
	}
	carol.line(fmt.Sprintf("[lobby] carol: %d", count))
	carol.inOrder()
}

// inOrder checks that the numbers that each nick said came in their order, and none twice.
func (p *proc) inOrder() {
	p.m.t.Helper()
	last := map[string]int{}
	for _, l := range p.out.all() {
		nick, text, ok := strings.Cut(strings.TrimPrefix(l, "[lobby] "), ": ")
		n, err := strconv.Atoi(text)
		if !ok || err != nil {
			continue
		}
		if before, had := last[nick]; had && n <= before {
			p.m.t.Errorf("%s sees %d of %s behind %d", p.name, n, nick, before)
		}
		last[nick] = n
	}
}
