package config

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// stateDir is kith's folder among the user's state: $XDG_STATE_HOME/kith or ~/.local/state/kith, and on Windows
// %LocalAppData%\kith. What its error says follows on the value.
func stateDir() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "kith"), nil
	}
	if dir := os.Getenv("LocalAppData"); runtime.GOOS == "windows" && filepath.IsAbs(dir) {
		return filepath.Join(dir, "kith"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil || !filepath.IsAbs(home) {
		return "", errors.New("is needed, since the user has no home directory")
	}
	return filepath.Join(home, ".local", "state", "kith"), nil
}
