package broker_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/kith-mesh/kith/broker"
	"github.com/kith-mesh/kith/meshtest"
)

var (
	cookieA = []byte("the cookie of a, as good as any")
	cookieB = []byte("the cookie of b, as good as any")
	shared  = []byte("the cookie of the two of them alone")
)

// with gives a broker the name of a node, and cookies.
func with(own []byte, peers map[string][]byte, accept ...[]byte) func(*broker.Config) {
	return func(c *broker.Config) {
		c.Node, c.Cookie, c.PeerCookies, c.Accept = c.ServerName, own, peers, accept
	}
}

func asNode(c *broker.Certificate) func(*broker.Config) {
	return func(cfg *broker.Config) { cfg.Cookie, cfg.Node, cfg.Certificate = nil, cfg.ServerName, c }
}

// meets says what each of two brokers finds when it asks the other, and that a route stands exactly if both find a node.
func meets(t *testing.T, x, y *broker.Broker, nameX, nameY string, want error) {
	t.Helper()
	for _, pair := range [][2]*broker.Broker{{x, y}, {y, x}} {
		if _, err := pair[0].Probe(t.Context(), pair[1].Addr()); !errors.Is(err, want) {
			t.Errorf("%s and %s: %v, want %v", nameX, nameY, err, want)
		}
	}
	if err := x.SetRoutes([]string{y.Addr()}); err != nil {
		t.Fatal(err)
	}
	if want == nil {
		eventually(t, "a route", func() bool { return linked(x, nameY) && linked(y, nameX) })
	}
}

func TestPeerCookies(t *testing.T) {
	const a, b = "a@h", "b@h"
	rows := []struct {
		title    string
		atA, atB func(*broker.Config)
		want     error
	}{
		{title: "NET-04_the_others_default", atA: with(cookieA, map[string][]byte{b: cookieB}), atB: with(cookieB, nil)},
		{title: "NET-05_one_for_the_pair", atA: with(cookieA, map[string][]byte{b: shared}), atB: with(cookieB, map[string][]byte{a: shared})},
		{title: "NET-06_each_the_others", atA: with(cookieA, map[string][]byte{b: cookieB}), atB: with(cookieB, map[string][]byte{a: cookieA}), want: broker.ErrCookie},
		{title: "only_one_side_has_it", atA: with(cookieA, map[string][]byte{b: shared}), atB: with(cookieA, nil), want: broker.ErrCookie},
		{title: "different_defaults", atA: with(cookieA, nil), atB: with(cookieB, nil), want: broker.ErrCookie},
		{title: "for_somebody_else", atA: with(cookieA, map[string][]byte{"c@h": cookieB}), atB: with(cookieB, nil), want: broker.ErrCookie},
	}
	for _, row := range rows {
		t.Run(row.title, func(t *testing.T) {
			x, y := start(t, a, row.atA), start(t, b, row.atB)
			meets(t, x, y, a, b, row.want)
		})
	}
	t.Run("defaults_stay", func(t *testing.T) {
		x := start(t, a, with(cookieA, map[string][]byte{b: cookieB}))
		friend, stranger := start(t, "c@h", with(cookieA, nil)), start(t, "d@h", with(cookieB, nil))
		meets(t, x, friend, a, "c@h", nil)
		if _, err := stranger.Probe(t.Context(), x.Addr()); !errors.Is(err, broker.ErrCookie) {
			t.Errorf("another node with that cookie: %v", err)
		}
	})
}

func TestAcceptedCookies(t *testing.T) {
	older := start(t, "older", with(cookieA, nil, cookieB))
	newer := start(t, "newer", with(cookieB, nil, cookieA))
	meets(t, older, newer, "older", "newer", nil)
	newest := start(t, "newest", with(cookieB, nil))
	meets(t, newer, newest, "newer", "newest", nil)
	oldest := start(t, "oldest", with(cookieA, nil))
	if _, err := oldest.Probe(t.Context(), newest.Addr()); !errors.Is(err, broker.ErrCookie) {
		t.Errorf("the old one to a node that has dropped it: %v", err)
	}
}

// TestSetCredentials changes a cookie under a route that carries traffic.
func TestSetCredentials(t *testing.T) {
	var log syncBuffer
	logged := func(c *broker.Config) { c.Log = zerolog.New(&log) }
	a := start(t, "a", with(cookieA, nil), logged)
	b := start(t, "b", with(cookieA, nil))
	meets(t, a, b, "a", "b", nil)
	there, here := connect(t, b, broker.App), connect(t, a, broker.App)
	if _, err := there.Subscribe("x", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer", func() bool { _, err := here.Request("x", nil, time.Second); return err == nil })
	for _, step := range []broker.Credentials{
		{Cookie: cookieA, Accept: [][]byte{cookieB}}, {Cookie: cookieB, Accept: [][]byte{cookieA}}, {Cookie: cookieB},
	} {
		for _, x := range []*broker.Broker{a, b} {
			if err := x.SetCredentials(step); err != nil {
				t.Fatal(err)
			}
			if _, err := here.Request("x", nil, 5*time.Second); err != nil {
				t.Errorf("a request meanwhile: %v", err)
			}
			if _, err := b.Probe(t.Context(), a.Addr()); err != nil {
				t.Errorf("a new connection meanwhile: %v", err)
			}
		}
	}
	if here.Stats().Reconnects != 0 || a.NumRemotes() != 1 {
		t.Error("the change cut what stood")
	}
	old, fresh := start(t, "old", with(cookieA, nil)), start(t, "fresh", with(cookieB, nil))
	if _, err := old.Probe(t.Context(), a.Addr()); !errors.Is(err, broker.ErrCookie) {
		t.Errorf("the old cookie: %v", err)
	}
	meets(t, fresh, a, "fresh", "a", nil)
	for title, bad := range map[string]broker.Credentials{
		"none": {}, "short": {Cookie: []byte("x")}, "short_accepted": {Cookie: cookieA, Accept: [][]byte{[]byte("x")}},
		"short_for_a_peer": {Cookie: cookieA, Peers: map[string][]byte{"b": nil}},
	} {
		if err := a.SetCredentials(bad); !errors.Is(err, broker.ErrCookieTooShort) {
			t.Errorf("%s: %v", title, err)
		}
	}
	if _, err := fresh.Probe(t.Context(), a.Addr()); err != nil {
		t.Errorf("refused credentials changed something: %v", err)
	}
	if text := log.String(); strings.Contains(text, `Reloaded: cluster"`) || strings.Contains(text, "DO NOT USE") {
		t.Errorf("a change of routes reloads the cluster:\n%s", text)
	}
	plain := start(t, "plain", func(c *broker.Config) { c.Plaintext = true })
	if err := plain.SetCredentials(broker.Credentials{Cookie: cookieA}); !errors.Is(err, broker.ErrBadConfig) {
		t.Errorf("plain text: %v", err)
	}
	_ = plain.Close()
	if err := plain.SetCredentials(broker.Credentials{Cookie: cookieA}); !errors.Is(err, broker.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestCertificates(t *testing.T) {
	home, abroad := meshtest.NewAuthority(t), meshtest.NewAuthority(t)
	a := start(t, "a@h", asNode(home.Issue("a@h")))
	b := start(t, "b@h", asNode(home.Issue("h")))
	meets(t, a, b, "a@h", "b@h", nil)
	// With a certificate, as with a cookie, a server may listen for everybody.
	start(t, "wide@h", asNode(home.Issue("wide@h")), func(c *broker.Config) { c.Listen = "0.0.0.0:0" })
	stranger := start(t, "c@h", asNode(abroad.Issue("c@h")))
	meets(t, a, stranger, "a@h", "c@h", broker.ErrCertificate)
	cookie := start(t, "d@h", with(cookieA, nil))
	if _, err := cookie.Probe(t.Context(), a.Addr()); !errors.Is(err, broker.ErrCookie) {
		t.Errorf("a node with a cookie asks: %v", err)
	}
	if _, err := a.Probe(t.Context(), cookie.Addr()); !errors.Is(err, broker.ErrCertificate) {
		t.Errorf("a node with a cookie is asked: %v", err)
	}
	// Of a certificate that ends while its node runs, the routes stay and new connections are refused, until it is renewed.
	short := home.IssueUntil(time.Now().Add(1500*time.Millisecond), "e@h")
	e := start(t, "e@h", asNode(short))
	meets(t, a, e, "a@h", "e@h", nil)
	eventually(t, "its end", func() bool {
		_, err := e.Probe(t.Context(), b.Addr())
		return errors.Is(err, broker.ErrCertificate)
	})
	if !linked(a, "e@h") {
		t.Error("the route ended with the certificate")
	}
	if _, err := b.Probe(t.Context(), e.Addr()); !errors.Is(err, broker.ErrCertificate) || !strings.Contains(err.Error(), "valid from") {
		t.Errorf("the reason is %v", err)
	}
	dir := t.TempDir()
	cert, key, roots := home.Write(dir, home.Issue("e@h"))
	renewed, err := broker.LoadCertificate(cert, key, roots)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.SetCredentials(broker.Credentials{Certificate: renewed}); err != nil {
		t.Fatal(err)
	}
	meets(t, b, e, "b@h", "e@h", nil)
}

func TestCertificateIsRefusedAtHome(t *testing.T) {
	home := meshtest.NewAuthority(t)
	keyless := home.Issue("a@h")
	keyless.Own.PrivateKey = nil
	rootless := home.Issue("a@h")
	rootless.Roots = nil
	alien := home.Issue("a@h")
	alien.Roots = meshtest.NewAuthority(t).Roots()
	for title, c := range map[string]*broker.Certificate{
		"for_another": home.Issue("b@h"), "for_another_host": home.Issue("other"), "ended": home.IssueUntil(time.Now().Add(-time.Minute), "a@h"),
		"empty": {}, "without_key": keyless, "without_authorities": rootless, "of_an_authority_it_does_not_trust": alien,
	} {
		t.Run(title, func(t *testing.T) {
			b, err := broker.Start(t.Context(), broker.Config{Mesh: "test", ServerName: "a@h", Node: "a@h", Certificate: c})
			if b != nil {
				_ = b.Close()
			}
			if !errors.Is(err, broker.ErrCertificate) {
				t.Errorf("got %v", err)
			}
		})
	}
	dir := t.TempDir()
	cert, key, roots := home.Write(dir, home.Issue("a@h"))
	for title, files := range map[string][3]string{
		"no_file": {filepath.Join(dir, "none"), key, roots}, "no_key": {cert, filepath.Join(dir, "none"), roots},
		"no_roots": {cert, key, filepath.Join(dir, "none")}, "key_is_none": {cert, cert, roots}, "roots_are_none": {cert, key, key},
	} {
		if c, err := broker.LoadCertificate(files[0], files[1], files[2]); err == nil {
			t.Errorf("%s: got %v", title, c)
		}
	}
	if runtime.GOOS == "windows" {
		return // which keeps its access rules elsewhere
	}
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err := broker.LoadCertificate(cert, key, roots); err == nil || !strings.Contains(err.Error(), "0644") {
		t.Errorf("a key that everybody may read: got %v, %v", c, err)
	}
}

func TestProof(t *testing.T) {
	home, abroad := meshtest.NewAuthority(t), meshtest.NewAuthority(t)
	a, b := home.Issue("a@h"), home.Issue("b@h")
	data := []byte("hello")
	sig, chain, err := a.Prove(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CheckProof("a@h", data, sig, chain); err != nil {
		t.Errorf("a proof: %v", err)
	}
	for title, err := range map[string]error{
		"another_name":      b.CheckProof("b@h", data, sig, chain),
		"other_data":        b.CheckProof("a@h", []byte("other"), sig, chain),
		"no_signature":      b.CheckProof("a@h", data, nil, chain),
		"no_chain":          b.CheckProof("a@h", data, sig, nil),
		"broken_chain":      b.CheckProof("a@h", data, sig, [][]byte{{1}}),
		"other_certificate": b.CheckProof("b@h", data, sig, b.Own.Certificate),
		"other_authority":   abroad.Issue("c@h").CheckProof("a@h", data, sig, chain),
	} {
		if !errors.Is(err, broker.ErrCertificate) {
			t.Errorf("%s: %v", title, err)
		}
	}
}
