package discovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// MergedStrategy runs several strategies at once. Make one with [Merge].
type MergedStrategy struct {
	members []Strategy
}

// Merge is the strategy that runs all of strategies and reports all that any of them has found: each address once, with
// the node's name where one of them knows it, in the order of the strategies. Its first list comes when each of them has
// had a first word, so that whoever waits for it has heard of all; every strategy here has one within seconds. Who would
// rather hear of each at once, and count the first words, runs the strategies one by one, as a node does with those of its
// configuration. A strategy that fails, or whose configuration can never work, does not disturb the others; Run returns an error only when none of them can work. The
// merged strategy of no strategies finds nothing.
func Merge(strategies ...Strategy) Strategy {
	m := &MergedStrategy{}
	for _, s := range strategies {
		if inner, ok := s.(*MergedStrategy); ok {
			m.members = append(m.members, inner.members...)
			continue
		}
		m.members = append(m.members, s)
	}
	return m
}

// Name is the names of the members, joined by "+", or "none".
func (m *MergedStrategy) Name() string {
	if len(m.members) == 0 {
		return "none"
	}
	words := make([]string, len(m.members))
	for i, s := range m.members {
		words[i] = s.Name()
	}
	return strings.Join(words, "+")
}

// Run runs the members until ctx ends. See [Strategy].
func (m *MergedStrategy) Run(ctx context.Context, self Self, found func([]Candidate), fail func(error)) error {
	if len(m.members) == 0 {
		found(nil)
		<-ctx.Done()
		return nil
	}
	r := &mergedRun{found: found, fail: fail, lists: make([][]Candidate, len(m.members)), silent: len(m.members)}
	errs := make([]error, len(m.members))
	var wg sync.WaitGroup
	for i, s := range m.members {
		wg.Go(func() {
			spoke := false
			say := func(list []Candidate) {
				r.say(i, list, !spoke)
				spoke = true
			}
			err := s.Run(ctx, self, say, r.complain)
			if err == nil || ctx.Err() != nil {
				return
			}
			errs[i] = err
			r.complain(fmt.Errorf("discovery stopped: %w", err))
			if !spoke {
				r.say(i, nil, true)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errs...)
}

// mergedRun is one Run of merged strategies.
type mergedRun struct {
	mu     sync.Mutex // guards the fields below, and calls of found and fail
	found  func([]Candidate)
	fail   func(error)
	lists  [][]Candidate // by member
	silent int           // members without a first word
	told   bool
	last   []Candidate
}

// say takes over a member's list.
func (r *mergedRun) say(member int, list []Candidate, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lists[member] = list
	if first {
		r.silent--
	}
	if r.silent > 0 {
		return
	}
	if all := union(r.lists); !r.told || !slices.Equal(all, r.last) {
		r.told, r.last = true, all
		r.found(slices.Clone(all))
	}
}

func (r *mergedRun) complain(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fail(err)
}

// union puts lists together: no repetition of an address, unless two names are said to be there.
func union(lists [][]Candidate) []Candidate {
	type key struct{ addr, name string }
	seen := make(map[key]bool)
	named := make(map[string]bool)
	for _, l := range lists {
		for _, c := range l {
			if c.Name != "" {
				named[c.Addr] = true
			}
		}
	}
	var all []Candidate
	for _, l := range lists {
		for _, c := range l {
			k := key{c.Addr, c.Name}
			if seen[k] || c.Name == "" && named[c.Addr] {
				continue
			}
			seen[k] = true
			all = append(all, c)
		}
	}
	return all
}
