package services

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

const (
	// soon is how long a test waits for what takes milliseconds on an idle machine.
	soon = 1 * time.Minute
	// debianPackages is where .ci/run has put packages that tests unpack.
	debianPackages = "/var/cache/postrider-peers"
	// tools is where they are unpacked on a host.
	tools = "/tmp/tools"
	// hostName is the host's, and its domain.
	hostName = "mx1.example"
	user     = "alice"
	address  = user + "@" + hostName
)

// serviceHost is a host with the suite, a user, and Debian packages.
func serviceHost(t *testing.T, packages ...string) *testhost.Host {
	t.Helper()
	testhost.NeedUsers(t)
	for _, name := range packages {
		if found, _ := filepath.Glob(debianPackages + "/" + name + "_*.deb"); len(found) == 0 {
			t.Skipf("SKIPPED for want of %s: .ci/run puts it into %s", name, debianPackages)
		}
	}
	h := testhost.NewNetwork(t).Host(hostName)
	h.Install()
	h.AddUsers(user)
	for _, name := range packages {
		shell(t, h, "mkdir -p "+tools+"; dpkg -x "+debianPackages+"/"+name+"_*.deb "+tools)
	}
	if len(packages) > 0 {
		shell(t, h, inPlace)
	}
	return h
}

// inPlace puts what was unpacked where it expects itself; /usr/bin is the
// machine's, and gets a layer on top.
const inPlace = `cd ` + tools + `
mkdir -p usr/bin
[ ! -e bin ] || cp -a bin/. usr/bin
[ ! -e sbin ] || cp -a sbin/. /usr/sbin
[ ! -e lib ] || cp -a lib/. /usr/lib
[ ! -e usr/sbin ] || cp -a usr/sbin/. /usr/sbin
[ ! -e usr/lib ] || cp -a usr/lib/. /usr/lib
[ ! -e etc ] || cp -a etc/. /etc
mount -t overlay overlay -o lowerdir=` + tools + `/usr/bin:/usr/bin /usr/bin
`

// shell runs commands on a host, and fails the test if one of them fails.
func shell(t *testing.T, h *testhost.Host, commands string) string {
	t.Helper()
	result, err := h.Run(testhost.Within(t, soon), testhost.Command{Argv: []string{"sh", "-ec", commands}})
	if err != nil || result.Code != 0 {
		t.Fatalf("%s: %v, %v", commands, err, result)
	}
	return result.Stdout
}

// contrib copies a file or directory of contrib to a place on a host.
func contrib(t *testing.T, h *testhost.Host, from, to string) {
	t.Helper()
	root := filepath.Join("../../../contrib", from)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		h.WriteFile(to+strings.TrimPrefix(path, root), string(text), info.Mode().Perm())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// await waits until something is so; whenever a file in dir changes it looks again.
func await(t *testing.T, h *testhost.Host, dir, what string, so func() bool) {
	t.Helper()
	if _, err := h.WaitForFiles(testhost.Within(t, soon), dir, func([]string) bool { return so() }); err != nil {
		t.Fatalf("never: %s: %v\n%s", what, err, shell(t, h, "ps -ef; grep -h -e qmail-start: -e warning: -e alert: /var/log/qmail/* /var/log/mail.log 2>/dev/null || true"))
	}
}

func exists(h *testhost.Host, path string) bool {
	_, err := os.Stat(h.Path(path))
	return err == nil
}

// daemon starts a command that goes on running, with nothing to read.
func daemon(t *testing.T, h *testhost.Host, dir, command string) *testhost.Process {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	p, err := h.Start(testhost.Command{
		Argv: []string{"sh", "-c", "exec " + command}, Dir: dir, Files: []*os.File{null, null, null},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ours are the processes of the suite on a host.
func ours(h *testhost.Host) (names []string) {
	for _, p := range h.Processes() {
		if strings.HasPrefix(p.Name, "qmail-") {
			names = append(names, p.Name)
		}
	}
	return names
}
