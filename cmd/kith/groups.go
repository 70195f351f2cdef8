package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/admin"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/rpc"
)

// groupRow is one group in the JSON of kith groups.
type groupRow struct {
	Group admin.Name `json:"group"`
}

func (a *app) groupsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "groups",
		Short: "list the groups of a scope",
		Long: `groups lists the groups that have members anywhere in the mesh, as one visible node sees them. The rooms of the chat
are the groups of the scope chat.`,
		Example:           "  kith groups\n  kith groups --scope chat",
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			req := admin.GroupsRequest{Scope: admin.Name(cfg.Scope)}
			names, err := askScope[admin.GroupsRequest, []admin.Name](a, cmd, cfg, admin.FuncGroups, req)
			if err != nil {
				return err
			}
			var rows []groupRow
			for _, name := range names {
				rows = append(rows, groupRow{name})
			}
			return printList(a, cfg, rows, func(r groupRow) string { return shown(string(r.Group)) })
		},
	}
	config.AddFlags(cmd.Flags(), config.ScopeFlag, config.OutputFlag, config.TimeoutFlag)
	return cmd
}

func (a *app) membersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "members GROUP",
		Short:             "list the members of a group",
		Long:              `members lists the processes of a group as PID NODE. Who joined twice is there twice.`,
		Example:           "  kith members workers\n  kith members lobby --scope chat",
		Args:              takes(1, 1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			if err := checkGroup(args[0]); err != nil {
				return err
			}
			req := admin.MembersRequest{Scope: admin.Name(cfg.Scope), Group: admin.Name(args[0])}
			list, err := askScope[admin.MembersRequest, []admin.Member](a, cmd, cfg, admin.FuncMembers, req)
			if err != nil {
				return err
			}
			return printList(a, cfg, list, func(m admin.Member) string { return fmt.Sprintf("%s %s", m.PID, m.Node) })
		},
	}
	config.AddFlags(cmd.Flags(), config.ScopeFlag, config.OutputFlag, config.TimeoutFlag)
	return cmd
}

func (a *app) broadcastCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "broadcast GROUP TEXT",
		Short:             "send a text to all members of a group",
		Long:              `broadcast sends a text to all members of a group, wherever they are. They get it as a string.`,
		Example:           `  kith broadcast workers "stop at noon"`,
		Args:              takes(2, 2),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := a.load(cmd)
			if err != nil {
				return err
			}
			if err := checkGroup(args[0]); err != nil {
				return err
			}
			req := admin.BroadcastRequest{Scope: admin.Name(cfg.Scope), Group: admin.Name(args[0]), Text: args[1]}
			d, err := askScope[admin.BroadcastRequest, admin.Delivery](a, cmd, cfg, admin.FuncBroadcast, req)
			if err != nil {
				return err
			}
			return a.print(cfg, d, func() string {
				line := fmt.Sprintf("sent to %d members on %d nodes\n", d.Members, d.Nodes)
				for _, name := range d.Skipped {
					fmt.Fprintf(a.stderr, "skipped %s: it does not keep up\n", name)
				}
				return line
			})
		},
	}
	config.AddFlags(cmd.Flags(), config.ScopeFlag, config.OutputFlag, config.TimeoutFlag)
	return cmd
}

// checkGroup accepts 1 to 255 bytes of any kind.
func checkGroup(name string) error {
	if name == "" || len(name) > 255 {
		return usagef("bad group name of %d bytes; allowed: 1 to 255", len(name))
	}
	return nil
}

// askScope asks a question about groups. A scope that runs nowhere has no groups: that is no error.
func askScope[Req, Resp any](a *app, cmd *cobra.Command, cfg config.Config, fn string, req Req) (resp Resp, err error) {
	err = a.ask(cmd, cfg, defaultTimeout, func(ctx context.Context, q *query) (err error) {
		resp, err = askVisible[Req, Resp](ctx, q, fn, req, func(err error) bool { return unserved(err) || noScope(err) })
		return err
	})
	if noScope(err) {
		return resp, nil
	}
	return resp, err
}

func noScope(err error) bool { return rpc.ErrorKind(err) == admin.KindNoScope }
