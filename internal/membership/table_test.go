package membership

import (
	"fmt"
	"testing"
	"time"

	"github.com/kith-mesh/kith/internal/wire"
)

func TestHandshake(t *testing.T) {
	t.Run("the_lower_one_calls_on_both_accounts", func(t *testing.T) {
		d := newDesk(t)
		peer := ID{"z@h", 7}
		d.table.Seen(d.now, wire.Info{Name: peer.Name, Incarnation: peer.Incarnation})
		list := d.took()
		if got := fmt.Sprint(verbs(list, peer)); got != "[hello hello/ordered]" {
			t.Fatal(got)
		}
		hello := find(list, wire.Hello)
		if hello.Conn == 0 || hello.Window != 1000 || hello.Interval != time.Second || hello.From.Addr != "here:1" {
			t.Errorf("%+v", hello)
		}
		d.hears(from("z@h", 7, wire.Welcome, hello.Conn), false)
		d.hears(from("z@h", 7, wire.Welcome, hello.Conn), false)
		if len(d.opened) != 0 {
			t.Fatal("up after one account")
		}
		d.hears(from("z@h", 7, wire.Welcome, hello.Conn), true)
		if len(d.opened) != 1 || d.opened[0].Window != 500 || d.phase(peer) != Up {
			t.Fatalf("%v", d.opened)
		}
		d.hears(from("z@h", 7, wire.Welcome, hello.Conn), true)
		if len(d.opened) != 1 {
			t.Error("an echo opens it again")
		}
	})
	t.Run("the_higher_one_knocks", func(t *testing.T) {
		d := newDesk(t)
		d.table.Seen(d.now, wire.Info{Name: "a@h", Incarnation: 7})
		if got := fmt.Sprint(verbs(d.took(), ID{"a@h", 7})); got != "[knock]" {
			t.Error(got)
		}
	})
	t.Run("both_say_how_many_others_they_see", func(t *testing.T) {
		d := newDesk(t)
		for i, name := range []string{"b@h", "c@h", "d@h"} { // the last is hidden
			hello := from(name, uint64(i+1), wire.Hello, uint64(10+i))
			hello.From.Hidden = name == "d@h"
			d.hears(hello, false)
			d.hears(hello, true)
			d.table.Opened(d.now, uint64(10+i))
		}
		d.took()
		d.table.Seen(d.now, wire.Info{Name: "z@h", Incarnation: 7})
		hello := find(d.took(), wire.Hello)
		if hello.Peers != 2 {
			t.Errorf("the hello says %d", hello.Peers)
		}
		welcome := from("z@h", 7, wire.Welcome, hello.Conn)
		welcome.Peers = 5
		d.hears(welcome, false)
		d.hears(welcome, true)
		if last := d.opened[len(d.opened)-1]; last.Peer.Name != "z@h" || last.Others != 5 {
			t.Errorf("%+v", last)
		}
		d.hears(from("c@h", 9, wire.Hello, 30), false) // a new life: its old one is no other
		d.hears(from("c@h", 9, wire.Hello, 30), true)
		d.table.NoResponder(d.now, ID{"c@h", 2})
		d.took()
		d.hears(from("c@h", 9, wire.Hello, 30), false)
		d.hears(from("c@h", 9, wire.Hello, 30), true)
		if welcome := find(d.took(), wire.Welcome); welcome.Peers != 2 {
			t.Errorf("the welcome says %d", welcome.Peers)
		}
	})
	t.Run("a_hello_on_one_account_is_not_answered", func(t *testing.T) {
		d := newDesk(t)
		d.hears(from("a@h", 7, wire.Hello, 9), false)
		d.hears(from("a@h", 7, wire.Hello, 10), true)
		if len(d.expected) != 0 || len(d.took()) != 0 {
			t.Error("it is answered")
		}
		d.hears(from("a@h", 7, wire.Hello, 10), false)
		if len(d.expected) != 1 || d.expected[0].Conn != 10 {
			t.Errorf("%v", d.expected)
		}
	})
	t.Run("a_repeated_hello_is_answered_again", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.took()
		d.hears(from("a@h", 7, wire.Hello, 9), true)
		if got := fmt.Sprint(verbs(d.took(), ID{"a@h", 7})); got != "[welcome welcome/ordered]" || len(d.expected) != 1 || len(d.closed) != 0 {
			t.Errorf("%s, %v", got, d.closed)
		}
	})
	t.Run("an_echo_of_a_session_that_is_over_opens_nothing", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.table.Ended(d.now, 9, Gap, "")
		d.hears(from("a@h", 7, wire.Hello, 9), false)
		d.hears(from("a@h", 7, wire.Hello, 9), true)
		if len(d.expected) != 1 {
			t.Errorf("%v", d.expected)
		}
	})
	t.Run("a_new_hello_ends_the_old_session_with_its_reason", func(t *testing.T) {
		for word, want := range map[string]Why{"gap": Gap, "net_tick_timeout": TickTimeout, "": ConnectionClosed, "no_answer": ConnectionClosed, "later": ConnectionClosed} {
			d := newDesk(t)
			d.greets("a@h", 7, 9)
			hello := from("a@h", 7, wire.Hello, 10)
			hello.Prev, hello.PrevWhy = 9, word
			d.hears(hello, false)
			d.hears(hello, true)
			if len(d.closed) != 1 || d.closed[0].conn != 9 || d.closed[0].why != want || len(d.expected) != 2 {
				t.Errorf("%q: %v, %v", word, d.closed, d.expected)
			}
		}
	})
	t.Run("a_hello_may_come_while_the_old_session_ends", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.hears(from("a@h", 7, wire.Hello, 10), false)
		d.table.End(d.now, 9, Disconnect) // which came in order, as the other half does
		d.hears(from("a@h", 7, wire.Hello, 10), true)
		if len(d.expected) != 2 || len(d.closed) != 0 {
			t.Errorf("%v, %v", d.expected, d.closed)
		}
	})
	t.Run("a_tick_that_overtakes_the_welcome_is_no_offence", func(t *testing.T) {
		d := newDesk(t)
		d.table.Seen(d.now, wire.Info{Name: "z@h", Incarnation: 7})
		hello := find(d.took(), wire.Hello)
		d.hears(from("z@h", 7, wire.Tick, hello.Conn), false)
		if got := verbs(d.took(), ID{"z@h", 7}); len(got) != 0 {
			t.Errorf("it is answered with %v", got)
		}
	})
	t.Run("a_first_message_that_never_comes_is_forgotten", func(t *testing.T) {
		d := newDesk(t, func(c *Config) { c.Setup = time.Second })
		hello := from("a@h", 7, wire.Hello, 9)
		d.hears(hello, false)
		d.hears(hello, true)
		for range 20 {
			d.hears(from("a@h", 7, wire.Tick, 9), false) // it lives
			d.passes(100 * time.Millisecond)
		}
		if len(d.forgot) != 1 || d.phase(ID{"a@h", 7}) == Up {
			t.Errorf("%v", d.forgot)
		}
	})
}

func TestNames(t *testing.T) {
	t.Run("NET-02_a_settled_node_refuses_its_own_name", func(t *testing.T) {
		for _, inc := range []uint64{7, 70} {
			d := newDesk(t)
			d.hears(from("m@h", inc, wire.Knock, 0), false)
			if got := find(d.took(), wire.Refuse); got.Why != string(NameInUse) {
				t.Errorf("incarnation %d: %+v", inc, got)
			}
		}
	})
	t.Run("NET-02_of_two_that_start_one_refuses", func(t *testing.T) {
		for inc, want := range map[uint64]string{7: "", 70: string(NameInUse)} {
			d := newDesk(t, func(c *Config) { c.Self.Settled = false })
			knock := from("m@h", inc, wire.Knock, 0)
			knock.From.Settled = false
			d.hears(knock, false)
			if got := find(d.took(), wire.Refuse); got.Why != want {
				t.Errorf("incarnation %d: %+v", inc, got)
			}
		}
	})
	t.Run("NET-02_a_settled_other_is_never_refused_by_a_newcomer", func(t *testing.T) {
		d := newDesk(t, func(c *Config) { c.Self.Settled = false })
		d.hears(from("m@h", 70, wire.Knock, 0), false)
		if list := d.took(); len(list) != 0 {
			t.Errorf("%v", list)
		}
		d.table.Seen(d.now, wire.Info{Name: "m@h", Incarnation: 70})
		if got := fmt.Sprint(verbs(d.took(), ID{"m@h", 70})); got != "[knock]" {
			t.Errorf("%s", got)
		}
		c := from("m@h", 70, wire.Refuse, 0)
		c.Why = string(NameInUse)
		d.hears(c, false)
		if len(d.failed) != 1 || d.failed[0].why != NameInUse {
			t.Errorf("%v", d.failed)
		}
	})
	old, next := ID{"a@h", 7}, ID{"a@h", 8}
	again := func(d *desk) { // the newcomer repeats its hello
		hello := from("a@h", 8, wire.Hello, 20)
		d.hears(hello, false)
		d.hears(hello, true)
	}
	t.Run("NET-02_old_life_alive_refuses_the_new", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.took()
		again(d)
		list := d.took()
		if len(verbs(list, old)) == 0 || verbs(list, old)[0] != "probe" || len(verbs(list, next)) != 0 {
			t.Fatalf("%v", list)
		}
		d.hears(from("a@h", 7, wire.Alive, 9), false)
		again(d)
		if got := find(d.took(), wire.Refuse); got.Why != string(NameInUse) || len(d.closed) != 0 || len(d.expected) != 1 {
			t.Errorf("%+v, %v", got, d.closed)
		}
	})
	t.Run("NET-02_old_life_dead_gives_way", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		again(d)
		d.table.NoResponder(d.now, old)
		if len(d.closed) != 1 || d.closed[0].why != ConnectionClosed {
			t.Fatalf("%v", d.closed)
		}
		again(d)
		if len(d.expected) != 2 || d.expected[1].Conn != 20 {
			t.Errorf("%v", d.expected)
		}
	})
	t.Run("NET-02_old_life_frozen_is_waited_for", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		for range 30 {
			again(d)
			d.passes(100 * time.Millisecond)
		}
		if len(d.closed) != 0 || len(d.expected) != 1 || find(d.took(), wire.Refuse).Verb != 0 {
			t.Fatalf("%v, %v", d.closed, d.expected)
		}
		for range 30 {
			again(d)
			d.passes(100 * time.Millisecond)
		}
		if len(d.closed) != 1 || d.closed[0].why != TickTimeout || len(d.expected) != 2 {
			t.Errorf("%v, %v", d.closed, d.expected)
		}
	})
	t.Run("a_caller_waits_for_the_old_life_too", func(t *testing.T) {
		d := newDesk(t, func(c *Config) { c.Self.Name = "a@h" })
		peer := wire.Info{Name: "z@h", Incarnation: 7}
		d.table.Seen(d.now, peer)
		hello := find(d.took(), wire.Hello)
		d.hears(from("z@h", 7, wire.Welcome, hello.Conn), false)
		d.hears(from("z@h", 7, wire.Welcome, hello.Conn), true)
		d.table.Seen(d.now, wire.Info{Name: "z@h", Incarnation: 8})
		if got := fmt.Sprint(verbs(d.took(), ID{"z@h", 8})); got != "[]" {
			t.Fatalf("%s", got)
		}
		d.table.NoResponder(d.now, IDOf(peer))
		d.passes(20 * time.Millisecond)
		if got := verbs(d.took(), ID{"z@h", 8}); len(got) < 2 || got[0] != "hello" {
			t.Errorf("%v", got)
		}
	})
}

func TestEnds(t *testing.T) {
	peer := ID{"a@h", 7}
	t.Run("a_tick_of_a_session_that_is_over_is_told_why", func(t *testing.T) {
		for _, why := range []Why{Gap, TickTimeout, Disconnect, Shutdown, ConnectionClosed} {
			d := newDesk(t)
			d.greets("a@h", 7, 9)
			d.table.Ended(d.now, 9, why, "")
			d.took()
			d.hears(from("a@h", 7, wire.Tick, 9), false)
			if why == Disconnect || why == Shutdown {
				// The goodbye in order is on its way, behind frames.
				if list := d.took(); len(list) != 0 {
					t.Errorf("%s: %v", why, list)
				}
				d.now = d.now.Add(2 * time.Second)
				d.hears(from("a@h", 7, wire.Tick, 9), false)
			}
			if got := find(d.took(), wire.Bye); got.Conn != 9 || got.Why != string(why) {
				t.Errorf("%s: %+v", why, got)
			}
		}
	})
	t.Run("SIG-12_a_tick_of_another_life_is_no_life", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.took()
		d.hears(from("a@h", 8, wire.Tick, 9), false)
		if got := find(d.took(), wire.Bye); got.Conn != 9 || len(d.acks) != 0 {
			t.Errorf("%+v, %v", got, d.acks)
		}
	})
	t.Run("silence_is_told_to_the_peer", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.passes(5 * time.Second)
		if got := find(d.took(), wire.Bye); got.Why != string(TickTimeout) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a_goodbye_of_a_stranger_ends_nothing", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.hears(from("b@h", 7, wire.Bye, 9), false)
		d.hears(from("a@h", 8, wire.Bye, 9), false)
		if len(d.closed) != 0 {
			t.Errorf("%v", d.closed)
		}
	})
	t.Run("a_goodbye_in_order_is_answered", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.took()
		d.table.End(d.now, 9, Shutdown)
		if got := find(d.took(), wire.ByeSeen); got.Conn != 9 {
			t.Errorf("%+v", got)
		}
		d.greets("b@h", 8, 10)
		d.hears(from("a@h", 7, wire.ByeSeen, 10), false) // of another's session
		d.hears(from("b@h", 8, wire.ByeSeen, 10), false)
		if len(d.byeSeen) != 1 || d.byeSeen[0] != 10 {
			t.Errorf("%v", d.byeSeen)
		}
	})
	t.Run("what_left_is_not_called_again", func(t *testing.T) {
		d := newDesk(t)
		d.table.Seen(d.now, wire.Info{Name: peer.Name, Incarnation: peer.Incarnation})
		d.greets("a@h", 7, 9)
		d.table.End(d.now, 9, Shutdown)
		d.took()
		d.passes(10 * time.Second)
		if got := verbs(d.took(), peer); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
	t.Run("who_leaves_opens_nothing_and_ends_its_attempts", func(t *testing.T) {
		d := newDesk(t)
		d.table.Seen(d.now, wire.Info{Name: "z@h", Incarnation: 7})
		hello := from("a@h", 7, wire.Hello, 9)
		d.hears(hello, false)
		d.hears(hello, true)
		d.took()
		d.table.Leave(d.now)
		list := d.took()
		if a, z := fmt.Sprint(verbs(list, peer)), fmt.Sprint(verbs(list, ID{"z@h", 7})); a != "[bye]" || z != "[bye]" || len(d.forgot) != 1 {
			t.Errorf("%s, %s, %v", a, z, d.forgot)
		}
		d.hears(from("b@h", 7, wire.Knock, 0), false)
		d.passes(5 * time.Second)
		list = d.took()
		if got := find(list, wire.Refuse); got.Why != string(Leaving) || find(list, wire.Hello).Verb != 0 {
			t.Errorf("%v", list)
		}
	})
	t.Run("a_session_is_spoken_of_by_its_peer_only", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.took()
		for _, who := range []wire.Info{{Name: "b@h", Incarnation: 8}, {Name: "a@h", Incarnation: 8}, {Name: "b@h", Incarnation: 7}} {
			for v := wire.Welcome; v <= wire.Alive; v++ {
				c := from(who.Name, who.Incarnation, v, 9)
				c.Window, c.Taken, c.Last = 1, 1<<40, 1<<40
				d.hears(c, false)
				d.hears(c, true)
			}
			hello := from(who.Name, who.Incarnation, wire.Hello, 9)
			d.hears(hello, false)
			d.hears(hello, true)
		}
		if len(d.closed)+len(d.acks)+len(d.marks)+len(d.byeSeen) != 0 || len(d.expected) != 1 || d.phase(peer) != Up {
			t.Errorf("%v, %v, %v, %v, %v", d.closed, d.acks, d.marks, d.byeSeen, d.expected)
		}
		d.hears(from("a@h", 7, wire.Bye, 9), false)
		if len(d.closed) != 1 {
			t.Errorf("%v", d.closed)
		}
	})
	t.Run("a_cut_of_the_own_connection_ends_all", func(t *testing.T) {
		d := newDesk(t)
		d.greets("a@h", 7, 9)
		d.greets("b@h", 7, 10)
		d.table.Lost(d.now, "cut")
		if len(d.closed) != 2 || d.closed[0].why != Gap || d.closed[1].why != Gap {
			t.Errorf("%v", d.closed)
		}
	})
}

func TestTails(t *testing.T) {
	tick := func(d *desk, last uint64) {
		c := from("a@h", 7, wire.Tick, 9)
		c.Last = last
		d.hears(c, false)
	}
	asked := func(d *desk) int {
		return count(d.took(), func(s said) bool { return s.c.Verb == wire.Mark })
	}
	d := newDesk(t)
	d.greets("a@h", 7, 9)
	d.took()
	d.received[9] = 5
	tick(d, 5)
	tick(d, 5)
	if asked(d) != 0 {
		t.Error("a mark is asked for while nothing is missing")
	}
	tick(d, 8)
	d.received[9] = 6 // something arrives: late and not lost
	tick(d, 8)
	if asked(d) != 0 {
		t.Error("a mark is asked for while frames arrive")
	}
	tick(d, 8)
	if asked(d) != 1 {
		t.Error("no mark is asked for")
	}
	d.received[9] = 8
	tick(d, 8)
	tick(d, 9)
	if asked(d) != 0 {
		t.Error("the lag is over")
	}
	d.hears(from("a@h", 7, wire.Mark, 9), false)
	d.hears(from("a@h", 7, wire.Mark, 99), false)
	if len(d.marks) != 1 || d.marks[0] != 9 {
		t.Errorf("%v", d.marks)
	}
}

func TestTickCarriesWhatThePeerNeeds(t *testing.T) {
	d := newDesk(t)
	d.greets("a@h", 7, 9)
	d.sent[9] = 41
	d.took()
	d.passes(10 * time.Millisecond)
	got := find(d.took(), wire.Tick)
	if got.Conn != 9 || got.Interval != time.Second || got.Last != 41 || got.Taken != 77 || got.Window != 1000 || got.Token == 0 {
		t.Errorf("%+v", got)
	}
	// The answer gives the round trip, and only the answer to the latest.
	d.passes(20 * time.Millisecond)
	answer := from("a@h", 7, wire.Ack, 9)
	answer.Echo, answer.Taken, answer.Window = got.Token, 5, 6
	d.hears(answer, false)
	if rtt := d.table.Status(d.now)[0].RTT; rtt < 20*time.Millisecond || rtt > 31*time.Millisecond {
		t.Errorf("a round trip of %v", rtt)
	}
	if len(d.acks) != 1 || d.acks[0] != [3]uint64{9, 5, 6} {
		t.Errorf("%v", d.acks)
	}
	// Ticks come every nine tenths to a whole interval, whatever else is said.
	ticks := 0
	for range 100 {
		d.passes(100 * time.Millisecond)
		d.hears(from("a@h", 7, wire.Ack, 9), false)
		ticks += count(d.took(), func(s said) bool { return s.c.Verb == wire.Tick })
	}
	if ticks < 10 || ticks > 11 {
		t.Errorf("%d ticks in 10 s", ticks)
	}
}

func TestRefusalsBackOff(t *testing.T) {
	d := newDesk(t)
	d.table.Seen(d.now, wire.Info{Name: "z@h", Incarnation: 7})
	var gaps []time.Duration
	last := d.now
	for range 8 {
		for find(d.took(), wire.Hello).Verb == 0 {
			d.now = d.table.Tick(d.now)
		}
		gaps, last = append(gaps, d.now.Sub(last)), d.now
		c := from("z@h", 7, wire.Refuse, 0)
		c.Why = string(NotAllowed)
		d.hears(c, false)
	}
	for i := 2; i < len(gaps); i++ {
		if gaps[i] < gaps[i-1] || gaps[i] > 61*time.Second {
			t.Errorf("pauses %v", gaps)
			break
		}
	}
	d.took()
	d.table.Connect(d.now, ID{"z@h", 7})
	if find(d.took(), wire.Hello).Verb == 0 {
		t.Error("a wish waits for the pause")
	}
}
