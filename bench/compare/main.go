// Command compare does the same work on Erlang, on nats.go alone and on kith, in turns, and prints the medians, their
// ratios and what kith is meant to reach. It needs erl and erlc; "make compare" runs it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 3, "how often each side has its turn")
	kith := flag.String("kith", "bin/kith", "the kith command")
	source := flag.String("erlang", "bench/erlang/kith_peer.erl", "the Erlang side")
	secure := flag.Bool("tls", false, "kith and NATS with TLS; Erlang has plain text in any case")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: compare [flags] [node|rpc|send|pg|global ...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	topics := flag.Args()
	if len(topics) == 0 {
		topics = []string{"node", "rpc", "send", "pg", "global"}
	}
	c := comparison{kith: *kith, secure: *secure, progress: os.Stderr, got: map[string]map[string][]float64{}}
	err := c.run(ctx, *source, topics, *rounds)
	c.print(os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// The sides of the comparison.
const (
	erlang = "Erlang"
	nats   = "NATS"
	ours   = "kith"
)

// comparison collects what each side reached in its turns: by figure, then by side.
type comparison struct {
	kith     string
	secure   bool
	progress io.Writer
	got      map[string]map[string][]float64
}

// epmdPort is for a name server of this comparison's own, which is ended with it.
const epmdPort = "24369"

// turnPatience bounds one turn of one side.
const turnPatience = 2 * time.Minute

// run gives each side its turns, A B A B, topic by topic.
func (c *comparison) run(ctx context.Context, source string, topics []string, rounds int) error {
	dir, err := os.MkdirTemp("", "kith-compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.CommandContext(ctx, "erlc", "-o", dir, source).CombinedOutput(); err != nil {
		return fmt.Errorf("erlc: %w: %s", err, out)
	}
	defer func() {
		end := exec.Command("epmd", "-port", epmdPort, "-kill")
		_ = end.Run()
	}()
	for _, topic := range topics {
		for round := range rounds {
			fmt.Fprintf(c.progress, "%s: round %d of %d\n", topic, round+1, rounds)
			if err := c.erlangTurn(ctx, dir, topic); err != nil {
				return fmt.Errorf("erlang, %s: %w", topic, err)
			}
			if err := c.kithTurn(ctx, topic); err != nil {
				return fmt.Errorf("kith, %s: %w", topic, err)
			}
		}
	}
	return nil
}

// note keeps what one side reached in one turn.
func (c *comparison) note(figure, side string, value float64) {
	if c.got[figure] == nil {
		c.got[figure] = map[string][]float64{}
	}
	c.got[figure][side] = append(c.got[figure][side], value)
}

// output runs a program and returns what it prints.
func (c *comparison) output(ctx context.Context, env []string, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, turnPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = c.progress
	return cmd.Output()
}

func (c *comparison) erlangTurn(ctx context.Context, dir, topic string) error {
	out, err := c.output(ctx, []string{"ERL_EPMD_PORT=" + epmdPort}, "erl", "-noshell",
		"-name", "a@127.0.0.1", "-setcookie", filepath.Base(dir), "-pa", dir, "-kernel", "global_multi_name_action", "allow",
		"-eval", "kith_peer:main(["+topic+"])")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		name, text, ok := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(text, 64)
		if !ok || err != nil {
			return fmt.Errorf("odd line %q", line)
		}
		c.note(name, erlang, value)
	}
	return nil
}

func (c *comparison) kithTurn(ctx context.Context, topic string) error {
	out, err := c.output(ctx, nil, c.kith, "bench", topic, fmt.Sprintf("--tls=%v", c.secure), "-o", "json")
	if err != nil {
		return err
	}
	var figures map[string]float64
	if err := json.Unmarshal(out, &figures); err != nil {
		return err
	}
	for name, value := range figures {
		if bare, ok := strings.CutPrefix(name, "raw_nats_"); ok {
			c.note(bare, nats, value)
		} else {
			c.note(name, ours, value)
		}
	}
	return nil
}

// print writes the table.
func (c *comparison) print(w io.Writer) {
	fmt.Fprintf(w, "%-31s %12s %12s %12s %13s %11s  %s\n", "median", erlang, nats, ours, "kith/Erlang", "kith/NATS", "goal")
	for _, name := range slices.Sorted(maps.Keys(c.got)) {
		side := c.got[name]
		verdict := ""
		if g, ok := goals[name]; ok {
			verdict = g.judge(median(side[ours]), median(side[nats]), median(side[erlang]))
		}
		line := fmt.Sprintf("%-31s %12s %12s %12s %13s %11s  %s", name, shown(median(side[erlang])), shown(median(side[nats])),
			shown(median(side[ours])), ratio(side[ours], side[erlang]), ratio(side[ours], side[nats]), verdict)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

func shown(v float64) string {
	switch {
	case v == 0:
		return "-"
	case v < 100:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// ratio is the median of the ratios of turns that belong together, which load of the machine distorts less than the
// ratio of medians.
func ratio(a, b []float64) string {
	var list []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			list = append(list, a[i]/b[i])
		}
	}
	if len(list) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", median(list))
}
