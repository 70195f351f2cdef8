package chat

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/kith-mesh/kith/history"
)

const (
	// keepQueue bounds what waits to be kept, and keepBatch what is kept at once.
	keepQueue = 1000
	keepBatch = 200
	// keepWait is how long a message is tried to be kept, while the stores choose a new leader for instance.
	keepWait = 20 * time.Second
	// keepPause is the time between two attempts when no store is up.
	keepPause = 500 * time.Millisecond
)

// keeper keeps what its user says in the log, in order and without holding up the talk. When it cannot, it says so once,
// and how much is missing once it can again. In a mesh that never had stores it does nothing, and says nothing.
type keeper struct {
	log  *history.Log
	tell func(text string)
	jobs chan job
	done chan struct{}
	ctx  context.Context
	stop context.CancelFunc

	full    atomic.Int64 // messages for which there was no room
	missing int          // messages that are not kept
	had     bool         // the stores have answered before
}

// job is a record to be kept, or something else to be done in its turn.
type job struct {
	record history.Record
	do     func(context.Context)
}

// newKeeper starts a keeper, which lasts until drain. tell reports trouble to the user.
func newKeeper(ctx context.Context, log *history.Log, tell func(text string)) *keeper {
	k := &keeper{log: log, tell: tell, jobs: make(chan job, keepQueue), done: make(chan struct{})}
	k.ctx, k.stop = context.WithCancel(ctx)
	go k.work()
	return k
}

// keep takes a record; run takes something that is to be done behind the records before it, and says whether it will be.
// Neither blocks. A record for which there is no room is counted as missing.
func (k *keeper) keep(r history.Record) {
	if !k.put(job{record: r}) {
		k.full.Add(1)
	}
}

func (k *keeper) run(f func(context.Context)) bool { return k.put(job{do: f}) }

func (k *keeper) put(j job) bool {
	select {
	case k.jobs <- j:
		return true
	default:
		return false
	}
}

// drain waits until all is kept, for a short while, and ends the keeper. Nothing may be put in after it.
func (k *keeper) drain() {
	close(k.jobs)
	late := time.AfterFunc(drainWait, k.stop)
	<-k.done
	late.Stop()
	k.stop()
}

func (k *keeper) work() {
	defer close(k.done)
	for j := range k.jobs {
		var batch []history.Record
		for more := true; more && j.do == nil; {
			batch = append(batch, j.record)
			if len(batch) == keepBatch {
				break
			}
			select {
			case j, more = <-k.jobs:
			default:
				more = false
			}
		}
		if len(batch) > 0 {
			k.append(batch)
		}
		if j.do != nil {
			j.do(k.ctx)
		}
	}
}

// append keeps records, or counts them as missing.
func (k *keeper) append(batch []history.Record) {
	ctx, cancel := context.WithTimeout(k.ctx, keepWait)
	defer cancel()
	for {
		err := k.log.Append(ctx, batch...)
		switch {
		case err == nil:
			k.had = true
			if k.missing += int(k.full.Swap(0)); k.missing > 0 {
				k.tell(fmt.Sprintf("%d of your messages are not in the history", k.missing))
				k.missing = 0
			}
			return
		case k.ctx.Err() != nil || errors.Is(err, history.ErrClosed):
			return
		case errors.Is(err, history.ErrNoStores) && !k.had:
			return
		case errors.Is(err, history.ErrNoStores) && ctx.Err() == nil:
			select {
			case <-time.After(keepPause):
			case <-ctx.Done():
			}
			continue
		}
		if k.missing == 0 {
			k.tell("your messages are not in the history for now: " + err.Error())
		}
		k.missing += len(batch)
		return
	}
}
