package chat

import (
	"context"
	"errors"
	"fmt"
	"sync"
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
	// seenPause is the time between two attempts to have it kept that somebody is here, and seenWait how long one takes.
	// seenEvery is how often that is kept anew: in time before it is forgotten.
	seenPause = 5 * time.Second
	seenWait  = 5 * time.Second
	seenEvery = HistoryAge / 30
	// lastWait is how long the last of it may take when the user has quit: stores may just be choosing who leads them.
	lastWait = 5 * time.Second
)

// keeper keeps what its user says in the log, in order and without holding up the talk. When it cannot, it says so once,
// and how much is missing once it can again. In a mesh that never had stores it does nothing, and says nothing.
type keeper struct {
	log  *history.Log
	tell func(text string)
	kept func() // the stores take something, after they did not
	jobs chan job
	seen chan history.Record // the newest one, until it is taken up
	done sync.WaitGroup
	ctx  context.Context
	stop context.CancelFunc

	full    atomic.Int64 // messages for which there was no room
	taking  atomic.Bool  // the stores took the last that was sent
	missing int          // messages that are not kept
	had     bool         // the stores have answered before
}

// job is a record to be kept, or something else to be done in its turn.
type job struct {
	record history.Record
	do     func(context.Context)
}

// newKeeper starts a keeper, which lasts until drain. tell reports trouble to the user, and kept is called when the stores
// take something that did not before.
func newKeeper(ctx context.Context, log *history.Log, tell func(text string), kept func()) *keeper {
	k := &keeper{log: log, tell: tell, kept: kept, jobs: make(chan job, keepQueue), seen: make(chan history.Record, 1)}
	k.ctx, k.stop = context.WithCancel(ctx)
	k.done.Go(k.work)
	k.done.Go(k.witness)
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

// drain waits within limit until all is kept, and ends the keeper. It returns how many messages are not kept. Nothing may be
// put in after it.
func (k *keeper) drain(limit time.Duration) (missing int) {
	close(k.jobs)
	close(k.seen)
	late := time.AfterFunc(limit, k.stop)
	k.done.Wait()
	late.Stop()
	k.stop()
	return k.missing
}

// see has it kept that somebody is here, in place of what was to be kept of that before. One goroutine calls it.
func (k *keeper) see(r history.Record) {
	select {
	case <-k.seen:
	default:
	}
	k.seen <- r
}

// witness keeps that somebody is here, until it is, and anew now and then: the stores may come after the chat, and forget
// what is old. It does so beside the messages, which it does not hold up.
func (k *keeper) witness() {
	timer := time.NewTimer(seenEvery)
	defer timer.Stop()
	var r history.Record
	for wait := seenEvery; ; timer.Reset(wait) {
		select {
		case newest, open := <-k.seen:
			if !open {
				if wait == seenPause { // the last chance for one that is not kept
					k.testify(r)
				}
				return
			}
			r = newest
		case <-timer.C:
		}
		if wait = seenPause; k.testify(r) {
			wait = seenEvery
		}
	}
}

// testify keeps one record.
func (k *keeper) testify(r history.Record) bool {
	ctx, cancel := context.WithTimeout(k.ctx, seenWait)
	defer cancel()
	err := k.log.Append(ctx, r)
	k.answered(err)
	return err == nil
}

// answered notes whether the stores take what is sent.
func (k *keeper) answered(err error) {
	if errors.Is(err, history.ErrNoStores) {
		k.taking.Store(false)
	} else if err == nil && !k.taking.Swap(true) {
		k.kept()
	}
}

func (k *keeper) work() {
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
		k.answered(err)
		switch {
		case err == nil:
			k.had = true
			if k.missing += int(k.full.Swap(0)); k.missing > 0 {
				k.tell(fmt.Sprintf("%d of your messages are not in the history", k.missing))
				k.missing = 0
			}
			return
		case k.ctx.Err() != nil || errors.Is(err, history.ErrClosed):
			k.missing += len(batch)
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
