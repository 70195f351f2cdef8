package leader

import (
	"context"
	"sync"
)

// Observer follows an election without taking part.
type Observer struct {
	view    view
	changes chan Change
	done    chan struct{}
	cancel  context.CancelFunc
	once    sync.Once
}

// Change is who leads from now on, as this node sees it. Led is false while nobody does.
type Change struct {
	Leader Leader
	Led    bool
}

// Observe follows an election until Close, the end of ctx, or that of the node or store. The first Change comes at once.
func Observe(ctx context.Context, b Backend, election string) *Observer {
	ctx, cancel := context.WithCancel(ctx)
	o := &Observer{changes: make(chan Change), done: make(chan struct{}), cancel: cancel}
	news := make(chan struct{}, 1)
	o.view = b.watch(election, func() {
		select {
		case news <- struct{}{}:
		default:
		}
	})
	go func() {
		defer context.AfterFunc(b.life(), cancel)()
		defer close(o.done)
		defer close(o.changes)
		defer o.view.stop()
		o.run(ctx, news)
	}()
	return o
}

// run tells what is true whenever that has changed. What changed and changed back before it was read is not told.
func (o *Observer) run(ctx context.Context, news <-chan struct{}) {
	var told *Change
	for {
		var out chan<- Change
		var now Change
		if l, ok, _, err := o.view.look(ctx); err == nil {
			if ok {
				now = Change{Leader: l, Led: true}
			}
			if told == nil || *told != now {
				out = o.changes
			}
		}
		select {
		case out <- now:
			told = &now
		case <-news:
		case <-ctx.Done():
			return
		}
	}
}

// Changes yields who leads, the latest when it is read. It is closed when the observer has ended.
func (o *Observer) Changes() <-chan Change { return o.changes }

// Close ends the observer. Calling it again is harmless.
func (o *Observer) Close() {
	o.once.Do(o.cancel)
	<-o.done
}
