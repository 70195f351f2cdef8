package discovery

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	o := Options{DataDir: "/data", Static: []string{"h:1"}}
	tests := map[string]struct {
		words []string
		check func(Strategy) bool
	}{
		"nothing":      {nil, func(s Strategy) bool { return s.Name() == "none" }},
		"none":         {[]string{"none"}, func(s Strategy) bool { return s.Name() == "none" }},
		"local":        {[]string{"local"}, func(s Strategy) bool { return s.(*LocalStrategy).dataDir == "/data" }},
		"static":       {[]string{"static"}, func(s Strategy) bool { return slices.Equal(s.(*StaticStrategy).addrs, o.Static) }},
		"static_addr":  {[]string{"static:[::1]:5"}, func(s Strategy) bool { return s.(*StaticStrategy).addrs[0] == "[::1]:5" }},
		"hosts":        {[]string{"hosts"}, func(s Strategy) bool { return s.(*HostsStrategy).cfg == HostsConfig{"", 45892, 5 * time.Second} }},
		"hosts_path":   {[]string{"hosts:/a:b?port=7&interval=1m"}, func(s Strategy) bool { return s.(*HostsStrategy).cfg == HostsConfig{"/a:b", 7, time.Minute} }},
		"gossip":       {[]string{"gossip"}, func(s Strategy) bool { return s.(*GossipStrategy).cfg.Group == "233.252.1.32:45892" }},
		"gossip_group": {[]string{"gossip:[ff02::6b68]:9"}, func(s Strategy) bool { return s.(*GossipStrategy).cfg.Group == "[ff02::6b68]:9" }},
		"gossip_settings": {[]string{"gossip?ttl=3&interface=a&interface=b"}, func(s Strategy) bool {
			c := s.(*GossipStrategy).cfg
			return c.TTL == 3 && slices.Equal(c.Interfaces, []string{"a", "b"})
		}},
		"dns":      {[]string{"dns:a.b"}, func(s Strategy) bool { c := s.(*DNSStrategy).cfg; return c.Name == "a.b" && c.Port == 45892 }},
		"dns_port": {[]string{"dns:a.b:4?interval=1s"}, func(s Strategy) bool { c := s.(*DNSStrategy).cfg; return c.Port == 4 && c.Interval == time.Second }},
		"dnssrv":   {[]string{"dnssrv:_k._tcp.a"}, func(s Strategy) bool { return s.Name() == "dnssrv" && s.(*DNSStrategy).cfg.Name == "_k._tcp.a" }},
		"several":  {[]string{"local", " gossip", "static:a:1"}, func(s Strategy) bool { return s.Name() == "local+gossip+static" }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Parse(tt.words, o)
			if err != nil || !tt.check(s) {
				t.Fatalf("%+v, %v", s, err)
			}
		})
	}
}

func TestParse_bad(t *testing.T) {
	for name, tt := range map[string]struct{ word, says string }{
		"unknown":          {"multicast", "dns, dnssrv, gossip, hosts, local, none, static"},
		"empty":            {"", "there are"},
		"kubernetes":       {"kubernetes", "build tag kubernetes"},
		"local_argument":   {"local:x", "no argument"},
		"local_setting":    {"local?x=1", "no setting"},
		"none_argument":    {"none:x", "no argument"},
		"static_address":   {"static:h", "HOST:PORT"},
		"hosts_port":       {"hosts?port=x", "number"},
		"hosts_setting":    {"hosts?prot=1", "port, interval"},
		"gossip_group":     {"gossip:10.0.0.1:4", "multicast"},
		"gossip_ttl":       {"gossip?ttl=0", "ttl"},
		"gossip_interval":  {"gossip?interval=1ms", "at least"},
		"dns_no_name":      {"dns", "host"},
		"dns_port":         {"dns:a:0", "port"},
		"dns_interval":     {"dns:a?interval=5", "duration"},
		"dnssrv_with_port": {"dnssrv:a:1", "SRV"},
		"bad_query":        {"local?%zz", "invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Parse([]string{"local", tt.word}, Options{DataDir: "/data"})
			if !errors.Is(err, ErrBadConfig) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("%+v, %v", s, err)
			}
		})
	}
}

func TestParse_extra(t *testing.T) {
	extra := map[string]Maker{"kubernetes": func(arg string, v url.Values) (Strategy, error) {
		if arg != "ns" || v.Get("selector") != "app=chat,tier=x" {
			return nil, errors.New("bad")
		}
		return Static(), nil
	}}
	if _, err := Parse([]string{"kubernetes:ns?selector=app%3Dchat%2Ctier%3Dx"}, Options{Extra: extra}); err != nil {
		t.Fatal(err)
	}
}
