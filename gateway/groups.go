package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/kith-mesh/kith/pg"
	"github.com/kith-mesh/kith/process"
)

const (
	broadcastPrefix = "kith.broadcast."
	groupPrefix     = "kith.group."
	contentType     = "Content-Type"
	typeJSON        = "application/json"
	upperHex        = "0123456789ABCDEF"
)

// errGroupName is what a client gets for a subject that names no group.
var errGroupName = errors.New("bad group name")

// escapeGroup writes the name of a group as the end of a subject: bytes that a subject does not take become %XX. Dots stay,
// so that wildcards work, except where they would make an empty token.
func escapeGroup(name string) string {
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		edge := c == '.' && (i == 0 || i == len(name)-1 || name[i-1] == '.')
		if plain(c) && !edge {
			b.WriteByte(c)
		} else {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.'
}

// unescapeGroup is the reverse.
func unescapeGroup(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", fmt.Errorf("%w: %q ends in the middle of %%XX", errGroupName, s)
		}
		v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", fmt.Errorf("%w: %q has a bad %%XX", errGroupName, s)
		}
		b.WriteByte(byte(v))
		i += 2
	}
	return b.String(), nil
}

// onBroadcast takes a client's message to a group.
func (g *Gateway) onBroadcast(m *nats.Msg) {
	g.broadcasts.Add(1)
	if !answerable(m.Reply) {
		g.dropped.Add(1)
		return
	}
	answer, err := g.broadcast(m)
	if err != nil {
		g.dropped.Add(1)
		g.log.Debug().Err(err).Str("subject", m.Subject).Msg("a client's message reached no group")
	}
	if m.Reply == "" {
		return
	}
	reply := &nats.Msg{Subject: m.Reply, Data: answer}
	if err != nil {
		code, kind := classify(err)
		if errors.Is(err, errGroupName) || errors.Is(err, pg.ErrBadName) {
			code, kind = "400", "bad_argument"
		}
		reply.Header = nats.Header{"Nats-Service-Error": {oneLine(err.Error())}, "Nats-Service-Error-Code": {code}}
		reply.Data, _ = json.Marshal(problem{Kind: kind, Message: err.Error(), Node: g.node.Name()}) // strings always marshal
	}
	if err := g.conn.PublishMsg(reply); err != nil {
		g.dropped.Add(1)
	}
}

func (g *Gateway) broadcast(m *nats.Msg) (answer []byte, err error) {
	group, err := unescapeGroup(strings.TrimPrefix(m.Subject, broadcastPrefix))
	if err != nil {
		return nil, err
	}
	value, err := fromClient(m)
	if err != nil {
		return nil, err
	}
	d, err := g.scope.Broadcast(g.ctx, group, value)
	if err != nil {
		return nil, fmt.Errorf("broadcasting to %q: %w", group, err)
	}
	return json.Marshal(map[string]int{"members": d.Members, "nodes": d.Nodes})
}

// fromClient is what members get of a client's message.
func fromClient(m *nats.Msg) (any, error) {
	switch {
	case strings.HasPrefix(m.Header.Get(contentType), typeJSON):
		var v any
		if err := json.Unmarshal(m.Data, &v); err != nil {
			return nil, fmt.Errorf("%w: not JSON: %w", errGroupName, err)
		}
		return v, nil
	case utf8.Valid(m.Data):
		return string(m.Data), nil
	}
	return m.Data, nil
}

// toClient is what clients get of a member's message.
func toClient(v any) (data []byte, header nats.Header, err error) {
	switch v := v.(type) {
	case string:
		return []byte(v), nil, nil
	case []byte:
		return v, nil, nil
	}
	data, err = json.Marshal(v)
	return data, nats.Header{contentType: {typeJSON}}, err
}

// answerable says whether a client may have an answer there, or wants none. On a subject of the mesh's own it would be a
// message that the client's permissions do not allow: NATS asks for none where a request names its reply.
func answerable(reply string) bool {
	return !strings.HasPrefix(reply, "kith.") && !strings.HasPrefix(reply, "$")
}

// listener is a process of this node that is a member of a group on behalf of clients.
type listener struct {
	pid  process.PID
	life process.Life
}

// follow joins the groups that clients have subscribed to, and leaves those that nobody listens to any more.
func (g *Gateway) follow() {
	if changes := g.node.OutsideChanges(); changes != g.changes {
		g.changes = changes
		subjects, err := g.node.OutsideSubjects()
		if err != nil {
			return // the node is stopping
		}
		g.patterns = g.patterns[:0]
		for _, s := range subjects {
			if p, ok := strings.CutPrefix(s, groupPrefix); ok {
				g.patterns = append(g.patterns, p)
			}
		}
	}
	wanted := g.wanted()
	for group, l := range g.listeners {
		switch {
		case !wanted[group]:
			g.cfg.Runtime.Exit(l.pid, process.ErrShutdown)
		case l.life.Ended(): // somebody has ended a member of the group
			g.log.Warn().Str("group", group).Msg("the process that hears a group for clients has ended; another takes its place")
		default:
			continue
		}
		delete(g.listeners, group)
	}
	for group := range wanted {
		if g.listeners[group] == nil {
			g.listen(group)
		}
	}
}

// wanted is the set of groups that clients listen to: those named, and those that exist and match a wildcard.
func (g *Gateway) wanted() map[string]bool {
	wanted := map[string]bool{}
	var wild []string
	for _, p := range g.patterns {
		if strings.ContainsAny(p, "*>") {
			wild = append(wild, p)
		} else if group, err := unescapeGroup(p); err == nil && group != "" && len(group) <= pg.MaxName {
			wanted[group] = true
		}
	}
	if len(wild) == 0 {
		return wanted
	}
	for _, group := range g.scope.Groups() {
		for _, p := range wild {
			if matches(p, escapeGroup(group)) && g.inhabited(group) {
				wanted[group] = true
			}
		}
	}
	return wanted
}

// metaClients marks members that stand for clients.
const metaClients = "clients"

// inhabited says whether a group has a member that does not stand for clients. Others alone would keep it for ever, as
// long as somebody listens to all groups.
func (g *Gateway) inhabited(group string) bool {
	for _, m := range g.scope.Details(group) {
		if m.Meta[metaClients] == "" {
			return true
		}
	}
	return false
}

// matches says whether a subject matches a pattern of NATS.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">" && i == len(p)-1:
			return len(s) > i
		case i >= len(s), token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// listen joins a group with a process that hands on what it gets.
func (g *Gateway) listen(group string) {
	subject := groupPrefix + escapeGroup(group)
	pid := g.cfg.Runtime.Spawn(func(self *process.Process) error {
		for {
			m, err := self.Receive(self.Context())
			if err != nil {
				return nil // asked to end
			}
			g.forward(subject, m)
		}
	}, process.WithMailbox(maxUnheard, process.DropOldest))
	if err := g.scope.JoinWith(group, pg.Meta{metaClients: "listening"}, pid); err != nil {
		g.log.Debug().Err(err).Str("group", group).Msg("cannot listen to a group for clients")
		g.cfg.Runtime.Exit(pid, process.ErrShutdown)
		return
	}
	g.listeners[group] = &listener{pid: pid, life: g.cfg.Runtime.Life(pid)}
}

func (g *Gateway) forward(subject string, message any) {
	data, header, err := toClient(message)
	if err == nil {
		err = g.conn.PublishMsg(&nats.Msg{Subject: subject, Data: data, Header: header})
	}
	if err != nil {
		g.dropped.Add(1)
		return
	}
	g.delivered.Add(1)
}

// silence leaves all groups.
func (g *Gateway) silence() {
	for group, l := range g.listeners {
		g.cfg.Runtime.Exit(l.pid, process.ErrShutdown)
		delete(g.listeners, group)
	}
}
