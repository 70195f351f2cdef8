package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/kith-mesh/kith/admin"
)

// TestDoctor_reads_reports: what does not fit together is named, with what the one side knows of the other; what is as it
// should be is no problem.
func TestDoctor_reads_reports(t *testing.T) {
	peer := func(name string) admin.PeerReport {
		return admin.PeerReport{Name: name, Visibility: admin.Visible, Connected: true, Routed: true, UpMS: 61_400, HeardMS: 240, RTTMicros: 310}
	}
	lost := admin.PeerReport{Name: "c@h", Visibility: admin.Visible, Previous: "net_tick_timeout", EndedMS: 12_340}
	half := peer("a@h")
	half.Routed = false
	outsider := peer("query@h")
	outsider.Visibility, outsider.Connected, outsider.Routed = admin.Hidden, false, false
	d := diagnosis{Nodes: []admin.Report{
		{Name: "a@h", Addr: "10.0.0.1:7000", TickMS: 1000, Routes: 2, Peers: []admin.PeerReport{peer("b@h"), lost, outsider},
			Refusals: []admin.Refusal{{Addr: "10.0.0.9:7000", Why: "wrong cookie", Seen: 3}, {Why: "10.0.0.8:50000: cookie differs", Seen: 2}}},
		{Name: "b@h", Peers: []admin.PeerReport{half, peer("c@h")}},
		{Name: "c@h", Peers: []admin.PeerReport{peer("b@h")}},
	}}
	d.Problems = compare(d.Nodes)
	want := []string{
		"a@h does not see c@h: net_tick_timeout 12.3s ago, no route",
		"b@h sees a@h without a whole route to it",
		"c@h does not see a@h: it knows nothing of it",
	}
	if !slices.Equal(d.Problems, want) {
		t.Errorf("problems: %q", d.Problems)
	}
	text := d.text()
	for _, line := range []string{
		"a@h at 10.0.0.1:7000, a tick every 1s, 2 routes",
		"  sees b@h, visible, for 1m1s, round trip 310µs, heard 200ms ago, 0 missed ticks",
		"  does not see c@h: net_tick_timeout 12.3s ago, no route",
		"  refused 10.0.0.9:7000: wrong cookie (3 times)",
		"  refused 10.0.0.8:50000: cookie differs (2 times)",
		"problem: " + want[0],
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
	if strings.Contains(text, "query@h") {
		t.Error("a hidden node that is not connected is shown")
	}
}
