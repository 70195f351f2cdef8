package chat

// Queue sets how many changes of groups may wait before they are given up and read anew.
func Queue(n int) func(*Config) { return func(c *Config) { c.queue = n } }
