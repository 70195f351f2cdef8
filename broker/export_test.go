package broker

// ClientURL returns the address of the client port that nobody may use.
func ClientURL(b *Broker) string { return b.server.ClientURL() }

// Secret returns the password of in-process connections.
func Secret(b *Broker) string { return b.secret }
