package global

// LeaveNoRoom has a registry in quorum mode refuse to register for other nodes.
func (r *Registry) LeaveNoRoom() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ledger.delegate.room = make(chan struct{})
}
