package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/discovery"
)

// desk is a keeper without a network: addresses answer, refuse or are silent as the test says, routes are there when the
// test says, and the clock is that of the bubble.
type desk struct {
	*keeper
	asked   map[string]int // how often each address was asked
	redials []string
	refuses string // what the broker does not dial
	fault   error  // why it dials nothing
	changes int    // how often it was told what to dial
	there   map[string]broker.Probed
	errs    map[string]error
	answers []answer // on their way
	routed  map[string]bool
}

type answer struct {
	due time.Time
	c   *contact
}

// newDesk makes the keeper of the node n5@h.
func newDesk(hidden bool) *desk {
	n := &Node{cfg: Config{Name: "n5@h", Mesh: "m", Hidden: hidden}, id: ID{"n5@h", 5}}
	n.change.init()
	n.routed.Store(&map[string]bool{})
	d := &desk{
		asked: map[string]int{}, there: map[string]broker.Probed{}, errs: map[string]error{}, routed: map[string]bool{},
	}
	d.keeper = newKeeper(n, context.Background())
	d.keeper.routes, d.keeper.ask = d, d.question
	d.keeper.first = true
	return d
}

func (d *desk) SetRoutes(addrs []string) error {
	d.changes++
	if d.refuses != "" && slices.Contains(addrs, d.refuses) {
		return fmt.Errorf("%w: address %q", broker.ErrBadConfig, d.refuses)
	}
	return d.fault
}

func (d *desk) Redial(addrs ...string) error {
	d.redials = append(d.redials, addrs...)
	return nil
}

func (d *desk) question(c *contact) {
	d.asked[c.addr]++
	took := time.Millisecond
	if d.errs[c.addr] == context.DeadlineExceeded {
		took = probePatience
	}
	d.answers = append(d.answers, answer{time.Now().Add(took), c})
}

// run lets time pass.
func (d *desk) run(t time.Duration) {
	step := 25 * time.Millisecond
	if t > time.Hour {
		step = time.Second // rather than wait for millions
	}
	for end := time.Now().Add(t); time.Now().Before(end); time.Sleep(step) {
		for _, a := range d.answers {
			if !a.due.After(time.Now()) {
				d.answered(time.Now(), a.c, d.there[a.c.addr], d.errs[a.c.addr])
			}
		}
		d.answers = slices.DeleteFunc(d.answers, func(a answer) bool { return !a.due.After(time.Now()) })
		routed := maps.Clone(d.routed)
		d.n.routed.Store(&routed)
		d.step(time.Now())
	}
}

func desknode(i int) (name, addr, server string) {
	name, addr = fmt.Sprintf("n%d@h", i), fmt.Sprintf("10.0.0.%d:1", i)
	return name, addr, serverName(ID{name, uint64(i)}, false)
}

// exists puts living nodes where they listen.
func (d *desk) exists(list ...int) {
	for _, i := range list {
		_, addr, server := desknode(i)
		d.there[addr] = broker.Probed{ServerName: server, Mesh: "m"}
		d.errs[addr] = nil
	}
}

// fails has an address answer with an error.
func (d *desk) fails(i int, err error) {
	_, addr, _ := desknode(i)
	d.errs[addr] = err
}

// link makes or ends routes.
func (d *desk) link(up bool, list ...int) {
	for _, i := range list {
		_, _, server := desknode(i)
		if delete(d.routed, server); up {
			d.routed[server] = true
		}
	}
}

// finds has a source name nodes, started that many seconds after the clock began where it says so.
func (d *desk) finds(source string, started map[int]int) {
	var list []discovery.Candidate
	for i, s := range started {
		name, addr, _ := desknode(i)
		c := discovery.Candidate{Name: name, Addr: addr, Incarnation: uint64(i)}
		if s >= 0 {
			c.Started = time.Unix(int64(s), 0)
		}
		list = append(list, c)
	}
	d.found(source, list)
}

func (d *desk) dials(list ...int) bool {
	var want []string
	for _, i := range list {
		_, addr, _ := desknode(i)
		want = append(want, addr)
	}
	slices.Sort(want)
	return slices.Equal(d.dialled, want)
}

func (d *desk) knows(i int) bool {
	_, addr, _ := desknode(i)
	return d.contacts[addr] != nil
}

func bubble(t *testing.T, name string, f func(t *testing.T, d *desk)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, newDesk(false)) }) })
}

func TestKeeper_begins(t *testing.T) {
	bubble(t, "with_the_oldest_and_asks_few", func(t *testing.T, d *desk) {
		d.n.listed = time.Unix(50, 0)
		all := map[int]int{}
		for i := 10; i < 60; i++ {
			all[i] = 100 - i // n59 is the oldest, and most are older than this node
			d.exists(i)
		}
		d.finds("local", all)
		d.run(500 * time.Millisecond)
		if !d.dials(59) || len(d.asked) > seeds {
			t.Errorf("dials %v, asked %v", d.dialled, d.asked)
		}
	})
	bubble(t, "not_when_it_is_the_oldest", func(t *testing.T, d *desk) {
		d.n.listed = time.Unix(1, 0)
		d.exists(1, 9)
		d.finds("local", map[int]int{1: 10, 9: 20})
		d.run(seniority - 50*time.Millisecond)
		if !d.dials() {
			t.Errorf("dials %v", d.dialled)
		}
		d.run(200 * time.Millisecond)
		if !d.dials(1) {
			t.Errorf("nobody dialled it, and it dials %v", d.dialled)
		}
	})
	bubble(t, "with_the_lowest_where_ages_are_unknown", func(t *testing.T, d *desk) {
		d.exists(3, 4, 9)
		d.finds("static", map[int]int{3: -1, 4: -1, 9: -1})
		d.run(100 * time.Millisecond)
		if !d.dials(3) {
			t.Errorf("dials %v", d.dialled)
		}
	})
	bubble(t, "after_courtesy_with_a_higher_one", func(t *testing.T, d *desk) {
		d.exists(9)
		d.finds("static", map[int]int{9: -1})
		d.run(courtesy)
		if !d.dials() {
			t.Errorf("dials %v at once", d.dialled)
		}
		d.run(100 * time.Millisecond)
		if !d.dials(9) {
			t.Errorf("dials %v", d.dialled)
		}
	})
	bubble(t, "past_the_dead_and_the_frozen", func(t *testing.T, d *desk) {
		d.fails(1, context.DeadlineExceeded)
		d.fails(2, broker.ErrNotListening)
		d.fails(3, broker.ErrCookie)
		d.exists(4)
		d.fails(4, nil)
		d.finds("static", map[int]int{1: -1, 2: -1, 3: -1, 4: -1})
		d.run(500 * time.Millisecond)
		if !d.dials(4) {
			t.Errorf("dials %v", d.dialled)
		}
		var why []string
		for _, r := range d.n.refusals.list() {
			why = append(why, r.Why)
		}
		if len(why) != 2 {
			t.Errorf("refusals: %q", why) // the frozen one has its time yet
		}
	})
	t.Run("a_hidden_node_with_one_only", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d := newDesk(true)
			d.exists(1, 2, 3)
			d.finds("static", map[int]int{1: -1, 2: -1, 3: -1})
			d.run(100 * time.Millisecond)
			d.link(true, 1)
			d.run(time.Minute)
			if !d.dials(1) {
				t.Errorf("dials %v", d.dialled)
			}
		})
	})
}

func TestKeeper_leaves_gossip_alone(t *testing.T) {
	bubble(t, "while_it_brings_routes", func(t *testing.T, d *desk) {
		all := map[int]int{}
		for i := 10; i < 60; i++ {
			all[i] = -1
			d.exists(i)
		}
		d.finds("static", all)
		d.link(true, 10)
		d.run(100 * time.Millisecond)
		clear(d.asked)
		for i := 11; i < 50; i++ { // one each second: slower than the grace of a small mesh
			d.link(true, i)
			d.run(500 * time.Millisecond)
		}
		if len(d.asked) != 0 || !d.dials() {
			t.Errorf("dials %v, asked %v", d.dialled, d.asked)
		}
		d.run(d.grace(&contact{}) + time.Second)
		if len(d.dialled) == 0 || len(d.dialled) > 2*dialsAtOnce+2 {
			t.Errorf("a second after its grace it dials %v", d.dialled)
		}
	})
	bubble(t, "not_for_ever", func(t *testing.T, d *desk) {
		d.exists(9)
		d.finds("static", map[int]int{9: -1})
		d.run(10 * time.Millisecond)
		for i := 100; i < 200 && !d.dials(9); i++ { // new nodes without end
			d.link(true, i)
			d.run(200 * time.Millisecond)
		}
		if !d.dials(9) {
			t.Error("never dialled")
		}
	})
}

// TestKeeper_mends: what two nodes that lost each other do until they are back.
func TestKeeper_mends(t *testing.T) {
	// lose has a route to another node, which the node itself told of, and a cut of it that lasts.
	lose := func(d *desk, i int, lasts time.Duration) {
		name, addr, server := desknode(i)
		d.exists(i)
		c := d.contact(addr, sourcePeer)
		c.server, c.node, c.known, c.good, c.answers = server, name, true, time.Now(), time.Now()
		d.link(true, 7, i) // and one to somebody else: alone it would begin anew, at once
		d.run(time.Second)
		d.link(false, i)
		d.fails(i, context.DeadlineExceeded)
		d.run(lasts)
		d.fails(i, nil)
	}
	// mended is how long it takes until the address is dialled.
	mended := func(d *desk, i int) time.Duration {
		healed := time.Now()
		for !d.dials(i) && time.Since(healed) < time.Hour {
			d.run(10 * time.Millisecond)
		}
		return time.Since(healed)
	}
	for _, c := range []struct {
		name  string
		peer  int // above or below n5; n1 keeps its route
		lasts time.Duration
		least time.Duration
		most  time.Duration
	}{
		{"short_cut_with_a_higher_node", 9, 5 * time.Second, 0, 5 * time.Second},
		{"short_cut_with_a_lower_node", 2, 5 * time.Second, deference, 6 * time.Second},
		{"minutes_with_a_higher_node", 9, 9 * time.Minute, 0, 5 * time.Second},
		{"minutes_with_a_lower_node", 2, 9 * time.Minute, deference, 6 * time.Second},
		{"hours", 9, 5 * time.Hour, 0, probePatience + maxPause*3/2 + time.Second},
	} {
		bubble(t, c.name, func(t *testing.T, d *desk) {
			lose(d, c.peer, c.lasts)
			if took := mended(d, c.peer); took < c.least || took > c.most {
				t.Errorf("dialled %v after the network healed, want %v to %v", took, c.least, c.most)
			}
		})
	}
	bubble(t, "asks_a_lost_peer_seldom", func(t *testing.T, d *desk) {
		lose(d, 9, time.Hour)
		if asked := d.asked["10.0.0.9:1"]; asked > 500 || asked < 200 {
			t.Errorf("asked %d times in an hour", asked)
		}
	})
	bubble(t, "forgets_who_is_gone", func(t *testing.T, d *desk) {
		lose(d, 9, time.Second)
		d.fails(9, broker.ErrNotListening)
		d.run(10 * time.Second)
		if d.knows(9) {
			t.Error("knows it still")
		}
	})
	for name, err := range map[string]error{
		"the_resolver": &net.DNSError{Err: "no such host", Name: "h", IsNotFound: true},
		"descriptors":  &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)},
		"local_ports":  &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EADDRNOTAVAIL},
		"the_cookie":   broker.ErrCookie, "the_certificate": broker.ErrCertificate,
		"a_forwarder": broker.ErrHungUp,
	} {
		bubble(t, "after_a_failure_of_"+name, func(t *testing.T, d *desk) {
			lose(d, 9, time.Second)
			d.fails(9, err)
			d.run(10 * time.Second)
			if !d.knows(9) {
				t.Fatal("took its own failure for the peer's word, and forgot it")
			}
			d.fails(9, nil)
			if took := mended(d, 9); took > 5*time.Second {
				t.Errorf("dialled %v after it was mended", took)
			}
		})
	}
	bubble(t, "forgets_who_is_silent_for_a_day", func(t *testing.T, d *desk) {
		lose(d, 9, forgetSilentTime-time.Hour)
		if !d.knows(9) {
			t.Fatal("forgot it too soon")
		}
		d.fails(9, context.DeadlineExceeded)
		d.run(forgetSilentTime + time.Hour)
		if d.knows(9) {
			t.Error("knows it still")
		}
	})
	bubble(t, "dials_no_longer_who_does_not_answer", func(t *testing.T, d *desk) {
		lose(d, 9, time.Second)
		mended(d, 9)
		d.fails(9, context.DeadlineExceeded)
		d.run(30 * time.Second)
		if !d.dials() {
			t.Errorf("dials %v", d.dialled)
		}
	})
	bubble(t, "insists_where_the_broker_pauses", func(t *testing.T, d *desk) {
		lose(d, 9, time.Second)
		mended(d, 9)
		d.run(time.Minute)
		if n := len(d.redials); n < 5 || n > 60/2 {
			t.Errorf("dialled again %d times in a minute, while it answers and has no route", n)
		}
		d.link(true, 9)
		d.redials = nil
		d.run(time.Minute)
		if len(d.redials) != 0 || !d.dials(9) {
			t.Errorf("with a route: dialled again %v, list %v", d.redials, d.dialled)
		}
	})
}

// TestKeeper_leaves_out_what_cannot_be_dialled: one address that the broker refuses takes nothing from the others.
func TestKeeper_leaves_out_what_cannot_be_dialled(t *testing.T) {
	bubble(t, "when_it_hears_of_it", func(t *testing.T, d *desk) {
		d.exists(9)
		d.found("static", []discovery.Candidate{{Addr: "h:http"}, {Addr: "10.0.0.9:1"}, {Addr: "[fe80::1%eth0]:7000"}})
		d.redial("h:http")
		if d.contacts["h:http"] != nil || d.contacts["[fe80::1%eth0]:7000"] == nil {
			t.Errorf("knows %v", slices.Collect(maps.Keys(d.contacts)))
		}
		d.run(time.Second)
		if !d.dials(9) {
			t.Errorf("dials %v", d.dialled)
		}
	})
	bubble(t, "when_the_broker_says_so", func(t *testing.T, d *desk) {
		d.exists(8, 9)
		d.refuses = "10.0.0.8:1"
		d.finds("static", map[int]int{8: -1, 9: -1})
		for _, c := range d.contacts {
			c.urgent = true
		}
		d.run(time.Second)
		if !d.dials(9) || d.changes > 5 {
			t.Errorf("dials %v after %d calls", d.dialled, d.changes)
		}
	})
	bubble(t, "and_does_not_insist", func(t *testing.T, d *desk) {
		d.exists(9)
		d.fault = errors.New("the broker is busy")
		d.finds("static", map[int]int{9: -1})
		d.run(10 * time.Second)
		if d.changes > 6 {
			t.Errorf("told it %d times in 10 s", d.changes)
		}
		d.fault = nil
		d.run(refusedPause + time.Second)
		if !d.dials(9) {
			t.Errorf("dials %v", d.dialled)
		}
	})
}
