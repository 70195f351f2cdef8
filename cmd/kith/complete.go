package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completeFlags has the shell complete the values of all flags: the words of those that take one of a few, files where a
// file is meant, and nothing where files would mislead.
func completeFlags(cmd *cobra.Command) {
	complete := func(f *pflag.Flag) {
		if _, has := cmd.GetFlagCompletionFunc(f.Name); has {
			return
		}
		values := cobra.NoFileCompletions
		switch kind := f.Value.Type(); {
		case kind == "FILE" || kind == "DIR":
			return
		case strings.Contains(kind, "|"):
			values = cobra.FixedCompletions(strings.Split(kind, "|"), cobra.ShellCompDirectiveNoFileComp)
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, values) // it fails for a flag that has one
	}
	cmd.LocalFlags().VisitAll(complete)
	for _, c := range cmd.Commands() {
		completeFlags(c)
	}
}
