package process

import "sync/atomic"

type counters struct {
	sentToNobody atomic.Uint64
}
