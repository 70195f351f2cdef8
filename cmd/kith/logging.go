package main

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/kith-mesh/kith/config"
)

// logger makes the logger of a command: to stderr, at the level of the configuration or else at the given one.
func (a *app) logger(cfg config.Config, level zerolog.Level) zerolog.Logger {
	switch cfg.LogLevel {
	case "":
	case "off":
		level = zerolog.Disabled
	default:
		if parsed, err := zerolog.ParseLevel(cfg.LogLevel); err == nil { // config has checked the word
			level = parsed
		}
	}
	out := a.stderr
	if cfg.LogFormat != "json" {
		out = zerolog.ConsoleWriter{Out: a.stderr, TimeFormat: time.TimeOnly + ".000", NoColor: !colours(a.stderr)}
	}
	log := zerolog.New(out).Level(level).With().Timestamp().Logger()
	for _, w := range cfg.Warnings {
		log.Warn().Msg(w)
	}
	return log
}

// colours says whether w is a terminal whose user has not asked for no colours.
func colours(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
