package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/rpc"
)

func (a *app) callCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "call NODE FUNC [JSON ...]",
		Short: "call a function of a node",
		Long: `call calls a function that a node has registered and prints its result as JSON. A function takes one value: no
argument is null, one is itself, several are an array.`,
		Example:           "  kith call b@127.0.0.1 kith.sum '[1,2,3]'\n  kith call b kith.sum 1 2 3",
		Args:              takes(2, -1),
		ValidArgsFunction: a.completeNodes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, target, fn, arg, err := a.callArguments(cmd, args)
			if err != nil {
				return err
			}
			var result json.RawMessage
			err = a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) (err error) {
				if err = q.connect(ctx, target); err != nil {
					return err
				}
				result, err = q.calls.CallJSON(ctx, target, fn, arg)
				return err
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%s\n", result)
			return err
		},
	}
	config.AddFlags(cmd.Flags(), config.TimeoutFlag, config.OutputFlag)
	return cmd
}

func (a *app) castCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "cast NODE FUNC [JSON ...]",
		Short:             "call a function of a node without waiting for its result",
		Long:              `cast sends a call and prints nothing: whether the function exists or fails, nobody hears.`,
		Example:           `  kith cast b@127.0.0.1 cache.clear '{"older_than":"1h"}'`,
		Args:              takes(2, -1),
		ValidArgsFunction: a.completeNodes(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, target, fn, arg, err := a.callArguments(cmd, args)
			if err != nil {
				return err
			}
			return a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) error {
				if err := q.connect(ctx, target); err != nil {
					return err
				}
				return q.calls.Cast(ctx, target, fn, arg)
			})
		},
	}
	config.AddFlags(cmd.Flags(), config.TimeoutFlag)
	return cmd
}

// callArguments reads NODE FUNC [JSON ...].
func (a *app) callArguments(cmd *cobra.Command, args []string) (cfg config.Config, target, fn string, arg json.RawMessage, err error) {
	if cfg, err = a.load(cmd); err != nil {
		return cfg, "", "", nil, err
	}
	if target, err = nodeArgument(args[0]); err != nil {
		return cfg, "", "", nil, err
	}
	fn, arg, err = functionArguments(args[1:])
	return cfg, target, fn, arg, err
}

var functionName = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// functionArguments reads FUNC [JSON ...].
func functionArguments(args []string) (fn string, arg json.RawMessage, err error) {
	if !functionName.MatchString(args[0]) {
		return "", nil, usagef("bad function name %q; allowed: letters, digits, _ and -, in parts with dots between", args[0])
	}
	if arg, err = rpc.JSONArgs(args[1:]...); err != nil {
		return "", nil, &usageError{err}
	}
	return args[0], arg, nil
}
