package testhost

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"postrider/internal/fdpass"
)

// Host is a machine made of namespaces. Its init is a child of the test; when
// the test ends in whatever way, so does the host.
type Host struct {
	Name string
	IP   netip.Addr // IPv4
	IP6  netip.Addr // invalid where the kernel has no IPv6

	t     testing.TB
	net   *Network
	ns    namespace
	port  string
	init  *exec.Cmd
	agent *agent
	disk  *os.File // the image, if the host made it
	mount Disk     // what is mounted

	accountsMu sync.Mutex
	users      int

	suiteMu sync.Mutex
	suite   *Process
	log     *Log
	moved   bool
}

// HostOption changes how a host is made.
type HostOption func(*hostConfig)

type hostConfig struct{ disk Disk }

// WithDisk chooses the file system of /var/qmail and /home.
func WithDisk(d Disk) HostOption { return func(c *hostConfig) { c.disk = d } }

// Host makes a host of this name with address records of that name in the
// zone. It fails the test if it cannot.
func (n *Network) Host(name string, options ...HostOption) *Host {
	n.t.Helper()
	config := hostConfig{}
	for _, option := range options {
		option(&config)
	}
	if config.disk.Size == 0 {
		config.disk.Size = defaultDiskSize
	}
	if config.disk.FS == "" {
		config.disk.FS = "ext4"
	}
	h := &Host{Name: name, t: n.t, net: n, log: newLog()}
	if err := h.boot(config); err != nil {
		n.t.Fatalf("host %s: %v", name, err)
	}
	n.zone.Address(name, h.IP)
	if h.IP6.IsValid() {
		n.zone.Address(name, h.IP6)
	}
	return h
}

// boot starts the init, plugs the host in and lets the init build its tree.
func (h *Host) boot(config hostConfig) error {
	if err := h.startInit(); err != nil {
		return err
	}
	h.t.Cleanup(h.halt)
	var err error
	if h.ns, err = namespaceOf(h.init.Process.Pid); err != nil {
		return err
	}
	if h.port, h.IP, h.IP6, err = h.net.plug(h.init.Process.Pid, h.ns); err != nil {
		return err
	}
	built, err := builtDir()
	if err != nil {
		return err
	}
	s := setup{
		Hostname: h.Name, Built: built, Resolver: prefix4 + "1", Addresses: []string{h.IP.String()},
		UserNS: inUserNamespace(), SingleUser: singleUser(),
		DiskFS: config.disk.FS, DiskOpts: config.disk.Options,
	}
	var files []*os.File
	if !inUserNamespace() {
		h.mount = config.disk
		if h.mount.Image == nil {
			if h.disk, err = NewImage(config.disk); err != nil {
				return err
			}
			h.mount.Image = h.disk
		}
		files = append(files, h.mount.Image)
	}
	return h.agent.do(request{Setup: &s}, files...)
}

func (h *Host) startInit() error {
	ours, theirs, err := fdpass.Pair(unix.SOCK_SEQPACKET)
	if err != nil {
		return err
	}
	defer theirs.Close()
	self, err := os.Executable()
	if err != nil {
		ours.Close()
		return err
	}
	h.init = &exec.Cmd{
		Path: self, Args: []string{initName}, Env: os.Environ(), Dir: "/",
		Stderr: os.Stderr, ExtraFiles: []*os.File{theirs},
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET,
			// A session of its own: the terminal's signals are for the test.
			Setsid: true,
		},
	}
	if err := h.init.Start(); err != nil {
		ours.Close()
		return err
	}
	h.agent, err = newAgent(ours)
	return err
}

// halt ends the host as a power cut does. Tests that want order stop what
// they started before.
func (h *Host) halt() {
	h.agent.close()
	// Init ends by itself on end of file; its exit code says nothing more.
	_ = h.init.Wait()
	if h.disk != nil {
		h.disk.Close()
	}
	if h.ns.f != nil {
		h.ns.close()
	}
	h.log.close()
}

// Path returns the name under which the test reads and writes a file of the
// host. Absolute symbolic links on the way lead out of the host.
func (h *Host) Path(path string) string {
	return filepath.Join(fmt.Sprintf("/proc/%d/root", h.init.Process.Pid), path)
}

// WriteFile writes a file of the host; it fails the test if it cannot.
func (h *Host) WriteFile(path, text string, mode os.FileMode) {
	h.t.Helper()
	if err := os.MkdirAll(h.Path(filepath.Dir(path)), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(h.Path(path), []byte(text), mode); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chmod(h.Path(path), mode); err != nil {
		h.t.Fatal(err)
	}
}

// ReadFile reads a file of the host; it fails the test if it cannot.
func (h *Host) ReadFile(path string) string {
	h.t.Helper()
	data, err := os.ReadFile(h.Path(path))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(data)
}

// Chown gives a file of the host to one of its users.
func (h *Host) Chown(path, user string) {
	h.t.Helper()
	a, err := accountBelow(h.Path("/"), user)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.Lchown(h.Path(path), int(a.uid), int(a.gid)); err != nil {
		h.t.Fatal(err)
	}
}

// Listen makes a listening socket in the host, served by the test.
func (h *Host) Listen(network, address string) net.Listener {
	h.t.Helper()
	l, err := listenIn(h.ns, network, address)
	if err != nil {
		h.t.Fatalf("%s: %v", h.Name, err)
	}
	h.t.Cleanup(func() { l.Close() })
	return l
}

// Dial connects from the host to a numeric address and port.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return dialIn(ctx, h.ns, network, address)
}

// Cut drops silently what goes from and to the host.
func (h *Host) Cut() { h.link(0) }

// Restore undoes Cut.
func (h *Host) Restore() { h.link(3) }

func (h *Host) link(state int) {
	h.t.Helper()
	if err := h.net.setPort(h.port, state); err != nil {
		h.t.Fatal(err)
	}
}
