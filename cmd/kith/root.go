package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/internal/nearest"
	"github.com/kith-mesh/kith/internal/version"
)

// app is what all commands share: where they read and write.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// newRoot makes the tree of commands.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "kith",
		Short: "a mesh of nodes that find each other, watch each other die, call each other and talk",
		Long: `kith runs a node of a mesh, chats in it, and asks questions of it. Nodes on one host find each other by
themselves; see --join and --discover for other hosts.

Each flag is also a key of the configuration file (--config) and an environment variable: --data-dir is
data-dir and KITH_DATA_DIR. A flag wins over the environment, that over the file, and that over the default.`,
		Example: `  kith chat --nick alice        # in one terminal
  kith chat --nick bob          # in another one
  kith nodes                    # who is there?`,
		Version:       version.Kith(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(a.stderr)
			_ = cmd.Help()
			return usagef("a command is missing")
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(flagError)
	config.AddFlags(root.PersistentFlags(), config.CommonFlags)
	root.AddGroup(&cobra.Group{ID: groupRun, Title: "Nodes:"}, &cobra.Group{ID: groupAsk, Title: "Questions:"},
		&cobra.Group{ID: groupDo, Title: "Calls and messages:"})
	add := func(group string, list ...*cobra.Command) {
		for _, c := range list {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupRun, a.nodeCommand(), a.chatCommand(), a.stopCommand())
	add(groupAsk, a.namesCommand(), a.nodesCommand(), a.watchCommand(), a.pingCommand(), a.doctorCommand(),
		a.groupsCommand(), a.membersCommand(), a.globalCommand())
	add(groupDo, a.callCommand(), a.multicallCommand(), a.castCommand(), a.broadcastCommand())
	root.AddCommand(a.benchCommand(), a.benchRoleCommand(), a.versionCommand())
	strict(root)
	completeFlags(root)
	return root
}

// strict makes the commands that cobra adds as strict as the others: a word that they do not know, or one that is
// missing, is wrong usage.
func strict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Example = "  kith help call"
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return unknownCommand(found, rest)
				}
				return nil
			}
		case "completion":
			c.Example = "  source <(kith completion bash)"
			c.Args = unknownCommand
			c.RunE = func(*cobra.Command, []string) error {
				return usagef("the name of a shell is missing: bash, zsh, fish or powershell")
			}
			for _, shell := range c.Commands() {
				shell.Example = "  " + shell.CommandPath()
				shell.Args = takes(0, 0)
			}
		}
	}
}

// The groups of commands in the help.
const (
	groupRun = "run"
	groupAsk = "ask"
	groupDo  = "do"
)

// load reads the configuration for a command.
func (a *app) load(cmd *cobra.Command) (config.Config, error) { return config.Load(cmd.Flags()) }

// unknownCommand refuses words that are no command.
func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if meant, near := nearest.Word(args[0], names); near {
		return usagef("unknown command %q; did you mean %s?", args[0], meant)
	}
	return usagef("unknown command %q; there are %s", args[0], strings.Join(names, ", "))
}

// flagError turns what pflag says about a command line into a usage error, with the flag that may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	word, isUnknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !isUnknown {
		if strings.HasPrefix(err.Error(), "unknown shorthand flag: ") {
			return usagef("%w; an argument that begins with - is given behind --", err)
		}
		return &usageError{err}
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	slices.Sort(names)
	if meant, near := nearest.Word(word, names); near {
		return usagef("unknown flag --%s; did you mean --%s?", word, meant)
	}
	return usagef("unknown flag --%s; see %s --help", word, cmd.CommandPath())
}

// takes checks the number of arguments: at least low, and at most high unless that is negative.
func takes(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < low:
			return usagef("an argument is missing: %s", cmd.UseLine())
		case high >= 0 && len(args) > high:
			return usagef("%q is one argument too many: %s", args[high], cmd.UseLine())
		}
		return nil
	}
}
