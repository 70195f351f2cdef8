package config

import (
	"strings"
	"time"

	"github.com/kith-mesh/kith/internal/address"
)

// kind is the form in which a key takes its value.
type kind uint8

const (
	text kind = iota
	list
	truth
	duration
)

// key is everything about one key: its name in flags, files and the environment, its help, and its place in Config.
type key struct {
	name string
	// short is its one-letter flag, or empty.
	short string
	kind  kind
	// arg names the value in the help; usage says what it is for; allowed what may stand there.
	arg, usage, allowed string
	// def is the default as one would write it on the command line, or empty. shown is what the help says instead.
	def, shown string
	// group is the group of flags that it belongs to.
	group Group
	// secret values are not printed.
	secret bool
	field  func(*Config) field
}

// split turns what a flag or a variable holds into words.
func (k *key) split(s string) []string {
	if k.kind != list {
		return []string{s}
	}
	var words []string
	for w := range strings.SplitSeq(s, ",") {
		if w = strings.TrimSpace(w); w != "" {
			words = append(words, w)
		}
	}
	return words
}

// env is the name of its environment variable.
func (k *key) env() string { return envName(k.name) }

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// lookup finds a key by its name.
func lookup(name string) (*key, bool) {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i], true
		}
	}
	return nil, false
}

// names lists all keys, in the order of the table.
func names() []string {
	list := make([]string, 0, len(keys))
	for _, k := range keys {
		list = append(list, k.name)
	}
	return list
}

const (
	listenRule = "HOST:PORT, where port 0 is any free one; HOST is " + address.HostRule
	dialRule   = "HOST:PORT with a port from 1 to 65535; HOST is " + address.HostRule
	pathRule   = "the path of a file"

	// minTick keeps the traffic of ticks bearable, maxTick the detection of dead peers meaningful.
	minTick, maxTick = 10 * time.Millisecond, time.Hour
	// minTimeout and maxTimeout keep a timeout one that a person or a script means.
	minTimeout, maxTimeout = time.Millisecond, 24 * time.Hour
)

// keys is the table of all keys. It is never changed.
var keys = []key{
	{name: "name", arg: "NAME[@HOST]", shown: "made up, on 127.0.0.1",
		usage:   "name of this node",
		allowed: "NAME or NAME@HOST; NAME is " + address.NameRule + ", HOST is " + address.HostRule,
		field:   func(c *Config) field { return textField{&c.Name, checkNode} }},
	{name: "mesh", arg: "NAME", def: "kith",
		usage:   "name of the mesh",
		allowed: address.NameRule,
		field:   func(c *Config) field { return textField{&c.Mesh, checkMesh} }},
	{name: "cookie", arg: "SECRET", secret: true, shown: "read from the cookie file",
		usage:   "secret that the nodes of a mesh share; others can see it in the list of processes, a file is better",
		allowed: "16 bytes or more",
		field:   func(c *Config) field { return textField{(*string)(&c.Cookie), checkCookie} }},
	{name: "cookie-file", arg: "FILE", shown: "cookie in the data dir",
		usage:   "file with the cookie",
		allowed: pathRule,
		field:   func(c *Config) field { return textField{&c.CookieFile, checkText} }},
	{name: "peer-cookies", arg: "FILE", shown: "none",
		usage:   "file with cookies for single peers, a line NAME@HOST COOKIE for each",
		allowed: pathRule,
		field:   func(c *Config) field { return textField{&c.PeerCookies, checkText} }},
	{name: "certificate", arg: "FILE", shown: "none: the cookie lets nodes in",
		usage:   "the node's own certificate with its chain, in PEM, instead of the cookie; needs certificate-key and certificate-roots",
		allowed: pathRule,
		field:   func(c *Config) field { return textField{&c.Certificate, checkText} }},
	{name: "certificate-key", arg: "FILE", shown: "none",
		usage:   "the key of the certificate, in PEM",
		allowed: pathRule,
		field:   func(c *Config) field { return textField{&c.CertificateKey, checkText} }},
	{name: "certificate-roots", arg: "FILE", shown: "none",
		usage:   "the authorities whose certificates are accepted, in PEM",
		allowed: pathRule,
		field:   func(c *Config) field { return textField{&c.CertificateRoots, checkText} }},
	{name: "permit", kind: list, arg: "RULE,...", shown: "everything is given",
		usage:   "what peers may do, the first rule that fits counts: allow|refuse PEER call|join|stop|any [FUNCTION or GROUP]",
		allowed: "a list of rules such as \"refuse web-*@* call admin.*\"",
		field:   func(c *Config) field { return listField{&c.Permit, checkText} }},
	{name: "config", arg: "FILE",
		usage:   "configuration file",
		allowed: "the path of a YAML (.yaml, .yml) or TOML (.toml) file",
		field:   func(c *Config) field { return textField{&c.File, checkText} }},
	{name: "cluster-listen", arg: "HOST:PORT", def: "127.0.0.1:0",
		usage:   "where to listen for other nodes; HOST:FROM-TO for a range of ports",
		allowed: listenRule + ", or HOST:FROM-TO with ports from 1 to 65535",
		field:   func(c *Config) field { return textField{&c.ClusterListen, checkListenRange} }},
	{name: "advertise", arg: "HOST:PORT", shown: "where it listens",
		usage:   "address at which other nodes reach this one",
		allowed: dialRule,
		field:   func(c *Config) field { return textField{&c.Advertise, address.CheckDial} }},
	{name: "join", kind: list, arg: "HOST:PORT,...",
		usage:   "nodes to connect to",
		allowed: "a list of " + dialRule,
		field:   func(c *Config) field { return listField{&c.Join, address.CheckDial} }},
	{name: "discover", kind: list, arg: "STRATEGY,...", def: "local",
		usage:   "how to find other nodes",
		allowed: "a list of local, static:HOST:PORT, hosts:FILE, gossip, dns:NAME:PORT, dnssrv:NAME, none",
		field:   func(c *Config) field { return listField{&c.Discover, checkStrategy} }},
	{name: "mode", arg: "embedded|leaf|external", def: string(ModeEmbedded),
		usage:   "how the node takes part in the cluster of NATS servers",
		allowed: "embedded, leaf, external",
		field: func(c *Config) field {
			return textField{(*string)(&c.Mode), oneOf(string(ModeEmbedded), string(ModeLeaf), string(ModeExternal))}
		}},
	{name: "leaf-listen", arg: "HOST:PORT", shown: "no such port",
		usage:   "where to listen for leaf nodes",
		allowed: listenRule,
		field:   func(c *Config) field { return textField{&c.LeafListen, checkListen} }},
	{name: "servers", kind: list, arg: "URL,...",
		usage:   "NATS servers to connect to, in the modes leaf and external",
		allowed: "a list of URLs such as nats://host:4222 (also tls, ws and wss), or HOST:PORT",
		field:   func(c *Config) field { return listField{&c.Servers, checkURL} }},
	{name: "client-listen", arg: "HOST:PORT", shown: "no such port",
		usage:   "where to listen for NATS clients",
		allowed: listenRule,
		field:   func(c *Config) field { return textField{&c.ClientListen, checkListen} }},
	{name: "client-users", arg: "FILE", shown: "the user kith, with the password in client-password of the data dir",
		usage:   "file with the users of the port for NATS clients, a line NAME PASSWORD [publish=SUBJECT,...] [subscribe=SUBJECT,...] for each",
		allowed: pathRule,
		field:   func(c *Config) field { return textField{&c.ClientUsers, checkText} }},
	{name: "store", kind: list, arg: "NAME=HOST:PORT,...",
		usage:   "all store nodes of the mesh, with the addresses they listen at",
		allowed: "3 or 5 of NAME=HOST:PORT with a fixed port",
		field:   func(c *Config) field { return storeField{&c.Store} }},
	{name: "tick", kind: duration, arg: "DURATION", def: "1s",
		usage:   "interval of heartbeats; a peer is gone after four missed ones",
		allowed: "a duration from 10ms to 1h, such as 500ms or 1s",
		field:   func(c *Config) field { return durationField{&c.Tick, minTick, maxTick} }},
	{name: "hidden", kind: truth,
		usage:   "do not appear in others' lists, and connect only when asked to",
		allowed: "true, false",
		field:   func(c *Config) field { return boolField{&c.Hidden} }},
	{name: "log-level", arg: "LEVEL", shown: "info for kith node, else warn",
		usage:   "how much to log to stderr",
		allowed: "trace, debug, info, warn, error, off",
		field: func(c *Config) field {
			return textField{&c.LogLevel, oneOf("trace", "debug", "info", "warn", "error", "off")}
		}},
	{name: "log-format", arg: "console|json", def: "console",
		usage:   "form of the log",
		allowed: "console, json",
		field:   func(c *Config) field { return textField{&c.LogFormat, oneOf("console", "json")} }},
	{name: "data-dir", arg: "DIR", shown: "the user's state folder",
		usage:   "folder with the cookie and the registry of this host's nodes",
		allowed: "the path of a folder",
		field:   func(c *Config) field { return textField{&c.DataDir, checkText} }},
	{name: "nick", group: ChatFlags, arg: "NICK", shown: "the name part of --name, else the user's name",
		usage:   "name under which to chat",
		allowed: "1 to 32 printable characters without space, [ or ], not beginning with /",
		field:   func(c *Config) field { return textField{&c.Nick, checkPrintable} }},
	{name: "room", group: ChatFlags, arg: "ROOM", shown: "lobby",
		usage:   "room to enter first",
		allowed: "1 to 32 printable characters without space, [ or ], not beginning with /",
		field:   func(c *Config) field { return textField{&c.Room, checkPrintable} }},
	{name: "plain", group: ChatFlags, kind: truth,
		usage:   "plain lines, as without a terminal",
		allowed: "true, false",
		field:   func(c *Config) field { return boolField{&c.Plain} }},
	{name: "scope", group: ScopeFlag, arg: "SCOPE", def: "pg",
		usage:   "scope of the groups",
		allowed: "1 to 255 bytes",
		field:   func(c *Config) field { return textField{&c.Scope, checkScope} }},
	{name: "nodes", group: NodesFlag, kind: list, arg: "NODE,...", shown: "all visible nodes",
		usage:   "nodes to call",
		allowed: "a list of NAME or NAME@HOST",
		field:   func(c *Config) field { return listField{&c.Nodes, checkNode} }},
	{name: "timeout", group: TimeoutFlag, kind: duration, arg: "DURATION", shown: "5s, ping 3s",
		usage:   "how long to wait",
		allowed: "a duration from 1ms to 24h, such as 5s",
		field:   func(c *Config) field { return durationField{&c.Timeout, minTimeout, maxTimeout} }},
	{name: "tls", group: BenchFlags, kind: truth, def: "true",
		usage:   "measure with TLS between the nodes; --tls=false for plain text",
		allowed: "true, false",
		field:   func(c *Config) field { return boolField{&c.TLS} }},
	{name: "quick", group: BenchFlags, kind: truth,
		usage:   "measure for a tenth of the time; the figures are rough",
		allowed: "true, false",
		field:   func(c *Config) field { return boolField{&c.Quick} }},
	{name: "output", group: OutputFlag, short: "o", arg: "text|json", def: string(OutputText),
		usage:   "form of the result",
		allowed: "text, json",
		field: func(c *Config) field {
			return textField{(*string)(&c.Output), oneOf(string(OutputText), string(OutputJSON))}
		}},
}
