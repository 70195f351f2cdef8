package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/cmd/kith/internal/benchmark"
	"github.com/kith-mesh/kith/config"
)

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench [" + strings.Join(benchmark.Topics(), "|") + " ...]",
		Short: "measure a mesh of separate processes on this machine",
		Long: `bench starts a mesh of separate processes on this machine, measures it, and ends it; it touches no mesh that runs. The
figures that begin with raw_nats are the same work done with nats.go alone, beside it. Without arguments all is measured, which
takes less than 180 s; --quick measures for a tenth of the time. What is going on goes to stderr.`,
		Example: `  kith bench
  kith bench rpc send --tls=false -o json`,
		ValidArgs: benchmark.Topics(),
		Args: func(_ *cobra.Command, args []string) error {
			for _, topic := range args {
				if !slices.Contains(benchmark.Topics(), topic) {
					return usagef("unknown topic %q; there are %s", topic, strings.Join(benchmark.Topics(), ", "))
				}
			}
			return nil
		},
		RunE: a.runBench,
	}
	config.AddFlags(cmd.Flags(), config.BenchFlags, config.OutputFlag)
	return cmd
}

func (a *app) runBench(cmd *cobra.Command, topics []string) error {
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	figures, err := benchmark.Run(cmd.Context(), benchmark.Options{
		Topics: topics, Plaintext: !cfg.TLS, Quick: cfg.Quick, Program: program, Progress: a.stderr,
	})
	if len(figures) == 0 && err != nil {
		return err
	}
	if printed := a.print(cfg, figures, func() string { return benchTable(figures) }); printed != nil {
		return printed
	}
	return err
}

// benchTable is a line for each figure, and what nats.go alone did beside it.
func benchTable(figures benchmark.Figures) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-32s %14s %14s\n", "", "kith", "raw NATS")
	for _, name := range figures.Names() {
		if strings.HasPrefix(name, benchmark.Raw) {
			continue
		}
		beside := ""
		if value, ok := figures[benchmark.Raw+name]; ok {
			beside = benchValue(value)
		}
		line := fmt.Sprintf("%-32s %14s %14s", name, benchValue(figures[name]), beside)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return b.String()
}

// benchValue is a figure with as many digits as mean something.
func benchValue(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// benchRoleCommand is one of the processes of a benchmark; bench itself starts it.
func (a *app) benchRoleCommand() *cobra.Command {
	return &cobra.Command{
		Use:     benchmark.RoleCommand,
		Short:   "a process of kith bench",
		Example: "  kith " + benchmark.RoleCommand + " <job.json",
		Hidden:  true,
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return benchmark.Serve(cmd.Context(), a.stdin, a.stdout, a.stderr)
		},
	}
}
