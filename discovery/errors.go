package discovery

import "errors"

var (
	// ErrNameInUse is returned by [LocalStrategy.Reserve] when a living process of this host has the node name. The
	// error's text names that process.
	ErrNameInUse = errors.New("taken on this host")
	// ErrReleased is returned by [Reservation.Publish] after [Reservation.Release].
	ErrReleased = errors.New("reservation released")
	// ErrBadConfig is returned for a strategy's configuration that can never work.
	ErrBadConfig = errors.New("bad discovery configuration")
)
