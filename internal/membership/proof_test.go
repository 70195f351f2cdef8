package membership

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kith-mesh/kith/internal/wire"
)

// seal is a prover whose signatures anybody can make: the name of the signer with what is signed.
type seal struct{ self ID }

func (s seal) Prove(c *wire.Control, to ID) {
	c.Sig = fmt.Appendf(nil, "%s signs %x", s.self.Name, c.Signed("m", to.Name, to.Incarnation))
}

func (s seal) Check(c wire.Control) error {
	if want := fmt.Sprintf("%s signs %x", c.From.Name, c.Signed("m", s.self.Name, s.self.Incarnation)); string(c.Sig) != want {
		return errors.New("that is not its signature")
	}
	return nil
}

var selfID = ID{"m@h", 50}

func sealed(c *Config) { c.Prover = seal{selfID} }

// asks has a lower node say hello on both accounts, signed, in answer to a challenge.
func (d *desk) asks(signer ID, name string, inc, conn, answer uint64) wire.Control {
	hello := from(name, inc, wire.Hello, conn)
	hello.Echo = answer
	seal{signer}.Prove(&hello, selfID)
	d.hears(hello, false)
	d.hears(hello, true)
	return hello
}

func TestProofOfHello(t *testing.T) {
	a := ID{"a@h", 7}
	challenge := func(d *desk) uint64 {
		m := find(d.took(), wire.Challenge)
		if m.Token == 0 || m.Conn == 0 {
			t.Helper()
			t.Fatalf("no challenge: %+v", m)
		}
		return m.Token
	}
	t.Run("a_hello_is_challenged_and_then_taken", func(t *testing.T) {
		d := newDesk(t, sealed)
		d.asks(a, a.Name, a.Incarnation, 9, 0)
		if len(d.expected) != 0 {
			t.Fatal("it is taken without an answer")
		}
		d.asks(a, a.Name, a.Incarnation, 9, challenge(d))
		if len(d.expected) != 1 || len(d.failed) != 0 {
			t.Fatalf("%v, %v", d.expected, d.failed)
		}
		welcome := find(d.took(), wire.Welcome)
		if err := (seal{a}).Check(wire.Control{}); err == nil {
			t.Error("the seal takes anything")
		}
		if err := (seal{a}).Check(welcome); err != nil {
			t.Errorf("the welcome: %v", err)
		}
	})
	t.Run("a_copy_opens_nothing", func(t *testing.T) {
		d := newDesk(t, sealed)
		d.asks(a, a.Name, a.Incarnation, 9, 0)
		copied := d.asks(a, a.Name, a.Incarnation, 9, challenge(d))
		d.table.Opened(d.now, 9)
		d.table.Ended(d.now, 9, Gap, "")
		for i := range 2 * maxGraves { // until nobody remembers that session
			d.table.past.add(d.now, uint64(1000+i), Gap)
		}
		d.took()
		d.hears(copied, false)
		d.hears(copied, true)
		if len(d.expected) != 1 {
			t.Fatal("a copy of the hello has opened a session")
		}
		if token := challenge(d); token == copied.Echo {
			t.Error("the challenge is the old one")
		}
	})
	t.Run("another_name_is_refused", func(t *testing.T) {
		d := newDesk(t, sealed)
		d.asks(ID{"evil@h", 1}, a.Name, a.Incarnation, 9, 0)
		d.asks(ID{"evil@h", 1}, a.Name, a.Incarnation, 9, challenge(d))
		refusal := find(d.took(), wire.Refuse)
		if len(d.expected) != 0 || refusal.Why != string(NotProven) || refusal.Detail == "" {
			t.Errorf("%v, %+v", d.expected, refusal)
		}
		if len(d.failed) == 0 || d.failed[0].why != NotProven {
			t.Errorf("nobody is told: %v", d.failed)
		}
	})
	t.Run("nothing_signed_is_refused", func(t *testing.T) {
		d := newDesk(t, sealed)
		d.asks(a, a.Name, a.Incarnation, 9, 0)
		hello := from(a.Name, a.Incarnation, wire.Hello, 9)
		hello.Echo = challenge(d)
		d.hears(hello, false)
		if find(d.took(), wire.Refuse).Why != string(NotProven) {
			t.Error("it is not refused")
		}
	})
	t.Run("a_lost_welcome_is_said_again", func(t *testing.T) {
		d := newDesk(t, sealed)
		d.asks(a, a.Name, a.Incarnation, 9, 0)
		d.asks(a, a.Name, a.Incarnation, 9, challenge(d))
		d.took()
		d.asks(a, a.Name, a.Incarnation, 9, 0)
		if find(d.took(), wire.Welcome).Conn != 9 || len(d.expected) != 1 {
			t.Error("it is not")
		}
	})
}

func TestProofOfWelcome(t *testing.T) {
	z := ID{"z@h", 7}
	call := func(t *testing.T) (*desk, wire.Control) {
		d := newDesk(t, sealed)
		d.table.Seen(d.now, wire.Info{Name: z.Name, Incarnation: z.Incarnation})
		hello := find(d.took(), wire.Hello)
		m := from(z.Name, z.Incarnation, wire.Challenge, hello.Conn)
		m.Token = 77
		d.hears(m, false)
		d.hears(m, false) // both copies of the hello were challenged
		list := d.took()
		if got := fmt.Sprint(verbs(list, z)); got != "[hello hello/ordered]" {
			t.Fatal(got)
		}
		again := find(list, wire.Hello)
		if again.Echo != 77 || (seal{z}).Check(again) != nil {
			t.Fatalf("%+v", again)
		}
		return d, hello
	}
	welcome := func(signer ID, conn uint64) wire.Control {
		m := from(z.Name, z.Incarnation, wire.Welcome, conn)
		seal{signer}.Prove(&m, selfID)
		return m
	}
	t.Run("good", func(t *testing.T) {
		d, hello := call(t)
		d.hears(welcome(z, hello.Conn), false)
		d.hears(welcome(z, hello.Conn), true)
		if len(d.opened) != 1 || len(d.failed) != 0 {
			t.Errorf("%v, %v", d.opened, d.failed)
		}
	})
	t.Run("another_name", func(t *testing.T) {
		d, hello := call(t)
		d.hears(welcome(ID{"evil@h", 1}, hello.Conn), false)
		refusal := find(d.took(), wire.Refuse)
		if len(d.opened) != 0 || refusal.Why != string(NotProven) || refusal.Conn != hello.Conn || d.phase(z) != Idle {
			t.Errorf("%v, %+v", d.opened, refusal)
		}
		if len(d.failed) != 1 || d.failed[0].why != NotProven {
			t.Errorf("%v", d.failed)
		}
	})
	t.Run("of_another_session", func(t *testing.T) {
		d, hello := call(t)
		old := welcome(z, hello.Conn+1)
		old.Conn = hello.Conn
		d.hears(old, false)
		if len(d.opened) != 0 || find(d.took(), wire.Refuse).Why != string(NotProven) {
			t.Error("it is taken")
		}
	})
	t.Run("who_said_it_learns_that_it_is_refused", func(t *testing.T) {
		d := newDesk(t)
		d.hears(from("a@h", 7, wire.Hello, 9), false)
		d.hears(from("a@h", 7, wire.Hello, 9), true)
		refusal := from("a@h", 7, wire.Refuse, 9)
		refusal.Why = string(NotProven)
		d.hears(refusal, false)
		if len(d.forgot) != 1 || len(d.failed) != 1 || d.failed[0].why != NotProven || d.phase(ID{"a@h", 7}) == Expecting {
			t.Errorf("%v, %v", d.forgot, d.failed)
		}
	})
}
