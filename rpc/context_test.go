package rpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestCallContext(t *testing.T) {
	newContext := func(parent context.Context, d time.Duration) *callContext {
		cl := &clock{time.Now()}
		c := &callContext{parent: parent, clock: cl}
		if d != 0 {
			c.deadline = cl.at(d)
		}
		return c
	}

	t.Run("deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newContext(context.Background(), time.Minute)
			if d, ok := c.Deadline(); !ok || time.Until(d) != time.Minute || c.Err() != nil {
				t.Errorf("%v, %v", d, c.Err())
			}
			begin := time.Now()
			<-c.Done()
			if time.Since(begin) != time.Minute || c.Err() != context.DeadlineExceeded {
				t.Errorf("%v after %s", c.Err(), time.Since(begin))
			}
		})
	})

	t.Run("deadline_without_done", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newContext(context.Background(), time.Minute)
			time.Sleep(time.Minute)
			if c.Err() != context.DeadlineExceeded {
				t.Errorf("%v", c.Err())
			}
			<-c.Done()
		})
	})

	t.Run("no_deadline", func(t *testing.T) {
		c := newContext(context.Background(), 0)
		if _, ok := c.Deadline(); ok {
			t.Error("it has one")
		}
	})

	t.Run("cancel_counts_once", func(t *testing.T) {
		c := newContext(context.Background(), time.Hour)
		done := c.Done()
		c.cancel(context.Canceled)
		c.cancel(errors.New("later"))
		<-done
		if c.Err() != context.Canceled {
			t.Errorf("%v", c.Err())
		}
	})

	t.Run("parent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			type key struct{}
			parent, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "v"))
			asked, silent := newContext(parent, time.Hour), newContext(parent, time.Hour)
			done := asked.Done()
			if asked.Value(key{}) != "v" {
				t.Error("no value of the parent")
			}
			cancel()
			<-done
			if silent.Err() != context.Canceled {
				t.Errorf("%v", silent.Err())
			}
			silent.cancel(context.Canceled)
		})
	})

	t.Run("derived_contexts", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newContext(context.Background(), 0)
			child, cancel := context.WithCancel(c)
			defer cancel()
			left, leave := context.WithCancel(c)
			leave()
			late := false
			stop := context.AfterFunc(c, func() { late = true })
			if !stop() {
				t.Error("could not stop")
			}
			c.cancel(context.Canceled)
			<-child.Done()
			<-left.Done()
			ran := make(chan struct{})
			context.AfterFunc(c, func() { close(ran) })
			<-ran
			if late {
				t.Error("a stopped function ran")
			}
		})
	})
}
