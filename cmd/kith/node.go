package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
)

func (a *app) nodeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "node",
		Short: "run a node until it is interrupted",
		Long: `node runs a node of the mesh until SIGINT or SIGTERM, or until somebody asks it to leave (kith stop). It prints
"ready NAME HOST:PORT" once its peers can reach it. At SIGHUP, and when its function kith.reload is called, it reads cookies
and certificates anew, without cutting anything that stands.`,
		Example: `  kith node --name a
  kith node --name b@10.0.0.2 --cluster-listen 10.0.0.2:7000 --join 10.0.0.1:7000`,
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.runNode,
	}
}

func (a *app) runNode(cmd *cobra.Command, _ []string) error {
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	name := madeUpName("node")
	if cfg.Name != "" {
		name = fullName(cfg.Name)
	}
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	log := a.logger(cfg, zerolog.InfoLevel)
	hangup, release := hangups() // one that comes during the start is answered after it
	defer release()
	r, err := start(ctx, cfg, name, log, stop)
	if err != nil {
		return interrupted(ctx, err)
	}
	r.secrets.onHangup(ctx, hangup)
	if err := r.node.WaitReady(ctx); err != nil && ctx.Err() == nil {
		return errors.Join(err, r.leave())
	}
	if ctx.Err() != nil {
		return r.leave()
	}
	if _, err := fmt.Fprintf(a.stdout, "ready %s %s\n", r.node.Name(), r.node.Addr()); err != nil {
		return errors.Join(err, r.leave())
	}
	select {
	case <-ctx.Done():
		return r.leave()
	case <-r.node.Done():
		return errors.New("the node has stopped")
	}
}

// interrupted drops an error that is nothing but the user's interrupt.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
