package meshtest

// Wires returns how many connections the network carries.
func Wires(l *Links) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.wires)
}
