//go:build !unix

package benchmark

func (p *process) pause()  {}
func (p *process) resume() {}

const canPause = false
