//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestHangup has a node read its cookies anew by a signal.
func TestHangup(t *testing.T) {
	dir := t.TempDir()
	file := keep(t, filepath.Join(dir, "cookie"), oldCookie)
	_, errs, _ := background(t, strings.NewReader(""), "node", "--data-dir", dir, "--name", "a", "--log-format", "json")
	await(t, "the node", func() bool { status, _, _ := kith(t, "ping", "a", "--data-dir", dir); return status == 0 })
	keep(t, file, newCookie+"\n"+oldCookie)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the new cookie", func() bool { return strings.Contains(errs.String(), "read anew") })
	kithIn(t, dir, 0, "ping", "a", "--cookie", newCookie)
}
