package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/config"
	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/internal/address"
	"github.com/kith-mesh/kith/node"
)

func (a *app) chatCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "chat with everybody in the mesh",
		Long: `chat runs a node and a chat on it. Without a terminal, or with --plain, it speaks plain lines, which scripts can
rely on. /help lists what can be typed besides messages; the end of the input ends the chat.`,
		Example: `  kith chat --nick alice
  kith chat --nick bob --room garden
  echo "the build is done" | kith chat --nick ci`,
		Args:              takes(0, 0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              a.runChat,
	}
	config.AddFlags(cmd.Flags(), config.ChatFlags)
	return cmd
}

func (a *app) runChat(cmd *cobra.Command, _ []string) error {
	cfg, err := a.load(cmd)
	if err != nil {
		return err
	}
	if err := chatNames(&cfg); err != nil {
		return err
	}
	name := fullName(cfg.Name)
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	stderr := &heldWriter{w: a.stderr}
	log := (&app{stderr: stderr}).logger(cfg, zerolog.WarnLevel)
	r, err := start(ctx, cfg, name, log, stop)
	if errors.Is(err, node.ErrNameInUse) && !cfg.Given("name") {
		return fmt.Errorf("nick is taken: %w; try --nick %s", err, freeNick(cfg))
	}
	if err != nil {
		return interrupted(ctx, err)
	}
	kept, err := chat.OpenHistory(r.node)
	if err != nil {
		return errors.Join(err, r.leave())
	}
	chatting := chat.Config{
		Runtime: r.runtime, Groups: r.groups, Calls: r.calls, Names: r.names, History: kept,
		In: a.stdin, Out: a.stdout, Err: a.stderr, Plain: cfg.Plain,
		Nick: cfg.Nick, Room: cfg.Room, Log: log,
	}
	if chat.FullScreen(chatting) {
		stderr.hold() // log lines would tear the screen
	}
	err = chat.Run(ctx, chatting)
	stderr.release()
	return errors.Join(err, r.leave())
}

// chatNames fills in the nick and the node's name, each from the other where it is not given.
func chatNames(cfg *config.Config) error {
	if cfg.Nick == "" {
		if cfg.Nick, _, _ = strings.Cut(cfg.Name, "@"); cfg.Nick == "" {
			cfg.Nick = userNick()
		}
	}
	if err := chat.CheckName(cfg.Nick); err != nil {
		return cfg.Reject("nick", err)
	}
	if cfg.Room != "" {
		if err := chat.CheckName(cfg.Room); err != nil {
			return cfg.Reject("room", err)
		}
	}
	if cfg.Name == "" {
		cfg.Name = nameOfNick(cfg.Nick)
	}
	return nil
}

// nameOfNick is a name part for a nick: the nick itself if it can be one, else what of it can, with a hash behind it
// that keeps different nicks apart.
func nameOfNick(nick string) string {
	if address.CheckName(nick) == nil {
		return nick
	}
	plain := strings.Map(func(r rune) rune {
		if address.CheckName(string(r)) != nil {
			return -1
		}
		return r
	}, nick)
	sum := sha256.Sum256([]byte(nick))
	return strings.TrimPrefix(plain+"-"+hex.EncodeToString(sum[:4]), "-")
}

// userNick is the name of the user of this computer, as far as it can be a nick.
func userNick() string {
	const nobody = "somebody"
	u, err := user.Current()
	if err != nil {
		return nobody
	}
	name := u.Username
	if i := strings.LastIndexByte(name, '\\'); i >= 0 { // DOMAIN\user
		name = name[i+1:]
	}
	if chat.CheckName(name) != nil {
		return nobody
	}
	return name
}

// freeNick is a nick like the configured one whose node name no node of this host has.
func freeNick(cfg config.Config) string {
	entries, _ := discovery.List(cfg.DataDir, cfg.Mesh) // it is a suggestion only
	for i := 2; ; i++ {
		nick := fmt.Sprintf("%s%d", cfg.Nick, i)
		taken := slices.ContainsFunc(entries, func(e discovery.Entry) bool { return e.Name == fullName(nameOfNick(nick)) })
		if !taken {
			return nick
		}
	}
}
