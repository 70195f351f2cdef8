package pg

// TopicFrom sets from how many other nodes on a broadcast uses a topic, so that a mesh of three shows what one of many
// does.
func TopicFrom(n int) Option { return func(g *Groups) { g.topicFrom = n } }
