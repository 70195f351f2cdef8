package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/config"
)

// pingTimeout is how long kith ping waits when --timeout says nothing.
const pingTimeout = 3 * time.Second

// pingResult is the JSON of kith ping.
type pingResult struct {
	Node string `json:"node"`
	// Result is "pong" or "pang".
	Result string `json:"result"`
	// RTTMicros is the round trip in microseconds; absent with pang.
	RTTMicros int64 `json:"rtt_us,omitempty"`
}

func (a *app) pingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "ping NODE",
		Short:             "find out whether a node answers",
		Long:              `ping prints pong and succeeds when the node answers, and prints pang and fails when it does not.`,
		Example:           "  kith ping a@127.0.0.1\n  kith ping a && echo it is there",
		Args:              takes(1, 1),
		ValidArgsFunction: a.completeNodes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			target, err := nodeArgument(args[0])
			if err != nil {
				return err
			}
			var rtt time.Duration
			err = a.ask(cmd, cfg, pingTimeout, func(ctx context.Context, q *query) (err error) {
				if err = q.connect(ctx, target); err != nil {
					return err
				}
				rtt, err = q.node.Ping(ctx, target)
				return err
			})
			var bad *config.Error
			if errors.As(err, &bad) {
				return err
			}
			r := pingResult{Node: target, Result: "pong", RTTMicros: rtt.Microseconds()}
			if err != nil {
				r.Result = "pang"
			}
			return errors.Join(a.print(cfg, r, func() string { return fmt.Sprintln(r.Result) }), err)
		},
	}
	config.AddFlags(cmd.Flags(), config.OutputFlag, config.TimeoutFlag)
	return cmd
}
