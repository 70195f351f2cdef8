package address

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestOwn(t *testing.T) {
	rows := []struct{ name, own, preferred, want string }{
		{"no_network", "127.0.0.1 ::1", "", "127.0.0.1"},
		{"only_one", "127.0.0.1 10.0.0.2", "", "10.0.0.2"},
		{"twice_the_same", "10.0.0.2 10.0.0.2", "", "10.0.0.2"},
		{"the_old_kind_first", "10.0.0.2 fe80::1 2001:db8::7 2001:db8::8", "", "10.0.0.2"},
		{"the_new_kind_alone", "::1 fe80::1 2001:db8::7", "", "2001:db8::7"},
		{"link_local_only", "127.0.0.1 169.254.1.1 fe80::1", "", "127.0.0.1"},
		{"several", "10.0.0.2 172.17.0.1", "", ""},
		{"several_of_the_new_kind", "2001:db8::7 2001:db8::8", "", ""},
		{"preferred", "10.0.0.2 172.17.0.1", "172.17.0.1", "172.17.0.1"},
		{"preferred_loopback", "127.0.0.1 10.0.0.2", "127.0.0.1", "10.0.0.2"},
		{"preferred_is_not_here", "10.0.0.2", "10.0.0.3", "10.0.0.2"},
		{"preferred_is_a_name", "10.0.0.2", "web-1", "10.0.0.2"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var own []netip.Addr
			for _, s := range strings.Fields(row.own) {
				own = append(own, netip.MustParseAddr(s))
			}
			got, err := choose(own, row.preferred)
			if row.want == "" {
				if !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), strings.Fields(row.own)[1]) {
					t.Fatalf("%v, %v", got, err)
				}
				return
			}
			if err != nil || got.String() != row.want {
				t.Fatalf("%v, %v", got, err)
			}
		})
	}
	if got, err := Own(""); err == nil == got.IsUnspecified() || err != nil && !errors.Is(err, ErrAmbiguous) {
		t.Errorf("of this host: %v, %v", got, err)
	}
}
