package node

import (
	"fmt"
	"strings"
	"sync"

	"github.com/kith-mesh/kith/internal/pattern"
)

// Action is what a peer asks of this node.
type Action uint8

// The actions.
const (
	// ActionAny is each of them. Only rules have it.
	ActionAny Action = iota
	// ActionCall is to call or cast a function, which is the rule's target.
	ActionCall
	// ActionJoin is to have members in a group, which is the target, as far as this node shows it.
	ActionJoin
	// ActionStop is to stop this node: to call the function that package admin serves for that. It has no target.
	ActionStop
)

// stopFunction is what ActionStop is about.
const stopFunction = "kith.stop"

var actionWords = [...]string{"any", "call", "join", "stop"}

// String is the word by which ParseRule knows the action.
func (a Action) String() string {
	if int(a) < len(actionWords) {
		return actionWords[a]
	}
	return fmt.Sprintf("action-%d", uint8(a))
}

// Rule gives something to peers, or refuses it. Of several the first one that fits counts, and what none fits is given: a
// list that ends with the rule "refuse * any" gives only what stands before.
//
// Rules guard against mistakes, such as a tool that is pointed at the wrong node. They do not keep out members that lie:
// whoever is in a mesh can do so under any name, unless the nodes have certificates of their own, and can forge what others
// say.
type Rule struct {
	// Refuse turns the rule from giving to refusing.
	Refuse bool
	// Peer is a pattern of names of nodes, in which * is any run of characters and ? any one. Empty is *.
	Peer string
	// Action is what the rule is about. The zero value is all of them.
	Action Action
	// Target is a pattern of names of functions or groups. Empty is *.
	Target string
}

// ParseRule reads a rule as it stands in a configuration:
//
//	allow|refuse PEER call|join|stop|any [TARGET]
//
// such as "refuse web-*@* call admin.*". The target is what remains of the line: a group's name may have spaces. Errors:
// ErrBadArgument.
func ParseRule(s string) (Rule, error) {
	bad := func(why string, args ...any) (Rule, error) {
		return Rule{}, fmt.Errorf("%w: rule %q: %s", ErrBadArgument, s, fmt.Sprintf(why, args...))
	}
	verb, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	peer, rest, _ := strings.Cut(strings.TrimSpace(rest), " ")
	word, target, _ := strings.Cut(strings.TrimSpace(rest), " ")
	r := Rule{Refuse: verb == "refuse", Peer: peer, Target: strings.TrimSpace(target)}
	if verb != "allow" && verb != "refuse" {
		return bad("%q is neither allow nor refuse", verb)
	}
	if peer == "" || word == "" {
		return bad("want PEER and one of %s behind it", strings.Join(actionWords[:], ", "))
	}
	for a, w := range actionWords {
		if word == w {
			r.Action = Action(a)
			return r, r.check()
		}
	}
	return bad("%q is none of %s", word, strings.Join(actionWords[:], ", "))
}

// check refuses rules that mean nothing.
func (r Rule) check() error {
	if int(r.Action) >= len(actionWords) {
		return fmt.Errorf("%w: rule about %v", ErrBadArgument, r.Action)
	}
	if r.Target != "" && (r.Action == ActionStop || r.Action == ActionAny) {
		return fmt.Errorf("%w: a rule about %v has no target, and this one has %q", ErrBadArgument, r.Action, r.Target)
	}
	return nil
}

// String is the rule as ParseRule reads it.
func (r Rule) String() string {
	verb, peer := "allow", r.Peer
	if r.Refuse {
		verb = "refuse"
	}
	if peer == "" {
		peer = "*"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %v %s", verb, peer, r.Action, r.Target))
}

// fits says whether the rule is about what a peer asks. action is ActionCall or ActionJoin.
func (r Rule) fits(peer string, action Action, target string) bool {
	switch r.Action {
	case ActionAny:
	case ActionStop:
		if action != ActionCall || target != stopFunction {
			return false
		}
	default:
		if r.Action != action || r.Target != "" && !pattern.Match(r.Target, target) {
			return false
		}
	}
	return r.Peer == "" || pattern.Match(r.Peer, peer)
}

// permissions is what remembers refusals, so that each is logged once.
type permissions struct {
	mu  sync.Mutex // guards the field below
	log map[string]bool
}

// maxRefusedActions bounds what is remembered. Beyond, it begins anew.
const maxRefusedActions = 1024

// Guarded says whether this node has rules at all. Without any, Permit gives everything, and need not be asked.
func (n *Node) Guarded() bool { return len(n.cfg.Rules) > 0 }

// Permit says whether the rules of this node give a peer what it asks: to call a function (ActionCall, also for the one that
// stops nodes) or to have members in a group (ActionJoin). The layers that serve it ask. A refusal is counted
// ("actions_refused"), and logged the first time. This node itself is refused nothing. It does not block. The error is
// ErrRefused, with the rule.
func (n *Node) Permit(peer string, action Action, target string) error {
	if peer == n.id.Name {
		return nil
	}
	for _, r := range n.cfg.Rules {
		if !r.fits(peer, action, target) {
			continue
		}
		if !r.Refuse {
			return nil
		}
		n.counters.forbidden.Add(1)
		n.logForbidden(peer, action, target, r)
		return fmt.Errorf("%w: %v %q by %s: rule %q", ErrRefused, action, target, peer, r)
	}
	return nil
}

func (n *Node) logForbidden(peer string, action Action, target string, r Rule) {
	p := &n.permissions
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprintf("%s %v %s", peer, action, target)
	if p.log[key] {
		return
	}
	if p.log == nil || len(p.log) >= maxRefusedActions {
		p.log = map[string]bool{}
	}
	p.log[key] = true
	n.log.Warn().Str("peer", peer).Stringer("action", action).Str("target", target).Stringer("rule", r).Msg("refused by permission")
}
