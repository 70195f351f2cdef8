//go:build unix

package benchmark

import "syscall"

// pause stops the process where it is, and resume lets it go on. A process that is gone needs neither.
func (p *process) pause()  { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) resume() { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// canPause says whether this system can.
const canPause = true
