package main

import "fmt"

// goal is what kith must reach in one figure: a bound by itself, or as a multiple of a peer's. Zero means no such
// bound.
type goal struct {
	// lower says that less is better: the bounds are upper ones.
	lower bool
	// absolute is in the unit of the figure.
	absolute float64
	// timesErlang and timesNATS are multiples of what the peer reached.
	timesErlang, timesNATS float64
}

var goals = map[string]goal{
	"rpc_remote_p50_us":             {lower: true, timesNATS: 1.15, timesErlang: 1},
	"rpc_parallel_per_s":            {timesErlang: 1.5},
	"rpc_local_p50_us":              {lower: true, absolute: 1},
	"send_remote_per_s":             {timesErlang: 2},
	"spawn_ns":                      {lower: true, absolute: 2000},
	"pg_broadcast_deliveries_per_s": {timesErlang: 10},
	"pg_join_visible_p50_us":        {lower: true, timesErlang: 1},
	"pg_joins_per_s":                {absolute: 80_000},
	"pg_fanout_deliveries_per_s":    {absolute: 3_000_000},
	"global_register_p50_us":        {lower: true, timesErlang: 1},
	"global_registers_per_s":        {absolute: 80_000},
	"global_whereis_ns":             {lower: true, absolute: 250},
	"nodedown_kill_p50_ms":          {lower: true, absolute: 10, timesErlang: 1},
	"boot_to_nodeup_p50_ms":         {lower: true, absolute: 150, timesErlang: 0.5},
	"rss_idle_kb":                   {lower: true, absolute: 40 << 10},
}

// judge says in words which bounds hold.
func (g goal) judge(kith, nats, erlang float64) string {
	words := ""
	check := func(bound float64, what string) {
		verdict := "reached"
		if g.lower && kith > bound || !g.lower && kith < bound {
			verdict = "MISSED"
		}
		relation := "at least"
		if g.lower {
			relation = "at most"
		}
		if words != "" {
			words += "; "
		}
		words += fmt.Sprintf("%s %s: %s", relation, what, verdict)
	}
	if kith == 0 {
		return words
	}
	if g.absolute > 0 {
		check(g.absolute, shown(g.absolute))
	}
	if g.timesErlang > 0 && erlang > 0 {
		check(g.timesErlang*erlang, fmt.Sprintf("%g x Erlang", g.timesErlang))
	}
	if g.timesNATS > 0 && nats > 0 {
		check(g.timesNATS*nats, fmt.Sprintf("%g x NATS", g.timesNATS))
	}
	return words
}
