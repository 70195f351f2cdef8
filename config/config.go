package config

import (
	"time"
)

// Mode says how a node takes part in the cluster of NATS servers.
type Mode string

// The modes.
const (
	// ModeEmbedded: this process is a server of the cluster.
	ModeEmbedded Mode = "embedded"
	// ModeLeaf: this process has a server that hangs off the cluster by one leaf connection.
	ModeLeaf Mode = "leaf"
	// ModeExternal: this process has no server and is a client of a cluster that runs already.
	ModeExternal Mode = "external"
)

// Output is how a query command prints its result.
type Output string

// The outputs.
const (
	// OutputText is lines for people and for scripts.
	OutputText Output = "text"
	// OutputJSON is one JSON document.
	OutputJSON Output = "json"
)

// StoreNode is one of the nodes that keep agreed data: its name, and its cluster address HOST:PORT.
type StoreNode struct {
	Name, Addr string
}

// Config is everything that can be configured. Load fills it; a program that makes one by hand starts from Default
// and calls Validate. It may be copied and read concurrently.
type Config struct {
	// Name is NAME or NAME@HOST. Without a host it is on 127.0.0.1; empty lets the program choose.
	Name string
	// Mesh is the name of the mesh: nodes of different meshes never meet.
	Mesh string
	// Cookie is the secret that the nodes of a mesh share, 16 bytes or more. Empty means that it is in a file.
	Cookie Secret
	// CookieFile is the file with the cookie. Empty means the file cookie in the data dir, made on first use.
	CookieFile string
	// PeerCookies is the file with cookies for single peers, or empty.
	PeerCookies string
	// Certificate, CertificateKey and CertificateRoots are the files of the node's own certificate, which takes the place of
	// the cookie. All three are given, or none.
	Certificate, CertificateKey, CertificateRoots string
	// Permit lists the rules that say what peers may do, as node.ParseRule reads them.
	Permit []string
	// File is the configuration file that was read, or empty.
	File string
	// ClusterListen is HOST:PORT, where port 0 is any free one, or HOST:FROM-TO, for the nodes of the mesh.
	ClusterListen string
	// Advertise is the HOST:PORT at which other nodes reach this one. Empty means where it listens.
	Advertise string
	// Join lists the HOST:PORT of nodes to connect to.
	Join []string
	// Discover lists the strategies that find other nodes.
	Discover []string
	// Mode says how the node takes part in the cluster. Empty means embedded.
	Mode Mode
	// LeafListen is HOST:PORT for leaf nodes. Empty opens no such port.
	LeafListen string
	// Servers lists the URLs of NATS servers, for the modes leaf and external.
	Servers []string
	// ClientListen is HOST:PORT for NATS clients. Empty opens no such port.
	ClientListen string
	// ClientUsers is the file with the users of that port. Empty means the one user that the command makes.
	ClientUsers string
	// Store lists all 3 or 5 store nodes of the mesh, or none.
	Store []StoreNode
	// Tick is the interval of the heartbeats. A peer is gone after four missed ones.
	Tick time.Duration
	// Hidden makes a node that others do not list and do not connect to by themselves.
	Hidden bool
	// LogLevel is trace, debug, info, warn, error or off. Empty lets the program choose.
	LogLevel string
	// LogFormat is console or json.
	LogFormat string
	// DataDir is the absolute path of the folder with the cookie and the registry of this host's nodes.
	DataDir string

	// Nick and Room are those of the chat. Empty lets the chat choose.
	Nick, Room string
	// Plain makes the chat speak in plain lines also on a terminal.
	Plain bool
	// Scope is the scope of groups that a query is about.
	Scope string
	// Nodes lists the nodes that a multicall goes to. Empty means all visible ones.
	Nodes []string
	// Timeout bounds a query. Zero lets the command choose.
	Timeout time.Duration
	// TLS says whether a benchmark measures with TLS between its nodes.
	TLS bool
	// Quick says whether a benchmark measures for a tenth of the time.
	Quick bool
	// Output is how a query prints its result.
	Output Output

	// Warnings are things that are worth a line in the log and that stop nothing.
	Warnings []string

	origins map[string]origin // of what was given, by key
}

// Default returns what holds when nothing is given. Its DataDir is empty when the user has no home directory.
func Default() Config {
	var c Config
	for _, k := range keys {
		if k.def != "" {
			// The defaults in the table are constants; TestDefault holds them against their own rules.
			_ = k.field(&c).set(k.split(k.def))
		}
	}
	c.DataDir, _ = stateDir()
	return c
}
