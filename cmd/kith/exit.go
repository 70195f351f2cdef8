package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kith-mesh/kith/chat"
	"github.com/kith-mesh/kith/config"
)

// The exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2
)

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// exitStatus tells of the error, in one line, and returns the status that stands for it.
func exitStatus(err error, stderr io.Writer) int {
	if err == nil {
		return statusOK
	}
	fmt.Fprintf(stderr, "error: %s\n", harmless(strings.ReplaceAll(err.Error(), "\n", "; ")))
	var usage *usageError
	var bad *config.Error
	if errors.As(err, &usage) || errors.As(err, &bad) || errors.Is(err, chat.ErrBadName) {
		return statusUsage
	}
	return statusFailed
}
