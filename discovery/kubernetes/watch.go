package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	v1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/kith-mesh/kith/discovery"
	"github.com/kith-mesh/kith/discovery/internal/pace"
)

const (
	// watchLife is the shortest time after which the server is asked to end a watch; the longest is twice that. A new
	// one begins with a list, so that an event that got lost on the way is made up for.
	watchLife = 5 * time.Minute
	// firstPause and longestPause bound the pauses after failures; the first is also the one between the end of a watch
	// and the list that follows.
	firstPause   = time.Second
	longestPause = time.Minute
)

// watcher lists, and then watches from there, again and again. It has one goroutine.
type watcher struct {
	*source
	reporter *discovery.Reporter
	fail     func(error)
	pause    time.Duration // the shortest between two lists

	slices  map[string]*v1.EndpointSlice // by name
	trouble string                       // what was last said of slices that cannot be used
}

func (w *watcher) run(ctx context.Context) {
	pause := pace.Backoff{Base: w.pause, Limit: longestPause}
	for {
		started := time.Now()
		err := w.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(started) > longestPause {
			pause.Reset() // it worked for a while
		}
		wait := pace.Jitter(w.pause)
		if err != nil && !outdated(err) {
			w.fail(fmt.Errorf("kubernetes: %w", err))
			w.reporter.Start()
			wait = pause.Next()
		}
		if !pace.Sleep(ctx, wait) {
			return
		}
	}
}

// follow lists and watches until the watch ends, with nil if it ended as watches do.
func (w *watcher) follow(ctx context.Context) error {
	list, err := w.list(ctx)
	if err != nil {
		return err
	}
	w.slices = make(map[string]*v1.EndpointSlice, len(list.Items))
	for i := range list.Items {
		w.slices[list.Items[i].Name] = &list.Items[i]
	}
	w.report()

	life := int64((watchLife + rand.N(watchLife)) / time.Second)
	events, err := w.api.Watch(ctx, meta.ListOptions{
		LabelSelector: w.selector, ResourceVersion: list.ResourceVersion, TimeoutSeconds: &life,
	})
	if err != nil {
		return w.explain("watch", err)
	}
	defer events.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-events.ResultChan():
			if !ok {
				return nil
			}
			if err := w.apply(ev); err != nil {
				return err
			}
		}
	}
}

// apply takes over an event.
func (w *watcher) apply(ev watch.Event) error {
	if ev.Type == watch.Error {
		return w.explain("watch", apierrors.FromObject(ev.Object))
	}
	slice, ok := ev.Object.(*v1.EndpointSlice)
	if !ok {
		return nil // a bookmark, or something newer than this program
	}
	switch ev.Type {
	case watch.Added, watch.Modified:
		w.slices[slice.Name] = slice
	case watch.Deleted:
		delete(w.slices, slice.Name)
	default:
		return nil
	}
	w.report()
	return nil
}

// report passes on what the slices hold. A slice that cannot be used is reported once, and the last list stays.
func (w *watcher) report() {
	var all []discovery.Candidate
	var errs []error
	for _, s := range w.slices {
		part, err := w.ports.candidates(s)
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, part...)
	}
	if err := errors.Join(errs...); err != nil {
		if err.Error() != w.trouble {
			w.trouble = err.Error()
			w.fail(fmt.Errorf("kubernetes: %w", err))
		}
		w.reporter.Start()
		return
	}
	w.trouble = ""
	w.reporter.Report(all)
}

// outdated says that err only asks for a new list: the version to watch from is too old.
func outdated(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}
