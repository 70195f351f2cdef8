package discovery

import (
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// TestGossip_namespace sends real multicast on an interface of a network namespace of its own, IPv4 and IPv6: Linux has
// no IPv6 multicast on loopback. The test runs itself again inside of the namespace.
func TestGossip_namespace(t *testing.T) {
	const inside = "DISCOVERY_TEST_INSIDE"
	if os.Getenv(inside) != "" {
		t.Run("ip4", func(t *testing.T) { gossipThree(t, net.JoinHostPort(DefaultGroup, "45892"), "10.99.0.1") })
		t.Run("ip6", func(t *testing.T) { gossipThree(t, "[ff02::6b68]:45892", "fd99::1") })
		return
	}
	const script = `ip link set lo up && ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up &&
ip addr add 10.99.0.1/24 dev d0 && ip -6 addr add fd99::1/64 dev d0 nodad && ip -6 addr show dev d0`
	uid, gid := os.Getuid(), os.Getgid()
	command := func(name string, args ...string) *exec.Cmd {
		c := exec.Command(name, args...)
		c.Env = append(os.Environ(), inside+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
		}
		return c
	}
	if out, err := command("sh", "-c", script).CombinedOutput(); err != nil {
		t.Skipf("no network namespace here: %v: %s", err, out)
	}
	out, err := command("sh", "-c", script+` && exec "$0" -test.run='^TestGossip_namespace$' -test.v`, os.Args[0]).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
