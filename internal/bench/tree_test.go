package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postrider/internal/testhost"
)

// installLimit bounds the making of one Debian tree.
const installLimit = 10 * time.Minute

// tree returns a Debian tree with these packages, as hosts name it. It is made
// once and kept; nobody writes to it afterwards.
func tree(t testing.TB, name string, packages ...string) (inside string, err error) {
	t.Helper()
	outside, inside, err := testhost.Shared("peers")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(t.Context(), installLimit)
	defer cancel()
	base := filepath.Join(outside, "base")
	if err := made(base, func(dir string) error { return debootstrap(ctx, dir) }); err != nil {
		return "", err
	}
	err = made(filepath.Join(outside, name), func(dir string) error {
		fmt.Printf("installing %s, once\n", name)
		return install(ctx, base, dir, packages)
	})
	return filepath.Join(inside, name), err
}

// made makes a directory by way of a temporary name, so that it is whole if it
// is there.
func made(dir string, do func(unfinished string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	unfinished := dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	if err := do(unfinished); err != nil {
		return err
	}
	return os.Rename(unfinished, dir)
}

func debootstrap(ctx context.Context, dir string) error {
	suite, mirror, err := debian()
	if err != nil {
		return err
	}
	fmt.Printf("installing Debian %s from %s, once\n", suite, mirror)
	return outside(ctx, "debootstrap", "--variant=minbase", "--include=ca-certificates", suite, dir, mirror)
}

// install copies the base and adds packages. Nothing that the packages would
// start is started.
func install(ctx context.Context, base, dir string, packages []string) error {
	if err := outside(ctx, "cp", "-a", base, dir); err != nil {
		return err
	}
	resolver, err := os.ReadFile("/etc/resolv.conf")
	if err != nil {
		return err
	}
	for file, text := range map[string]string{
		"etc/resolv.conf": string(resolver), "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
		"etc/hosts": "127.0.0.1 localhost bench.test\n127.0.0.2 sink.test\n", "etc/mailname": "bench.test\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
			return err
		}
	}
	steps := [][]string{
		{"apt-get", "update", "-qq"},
		append([]string{"apt-get", "install", "-y", "-qq", "--no-install-recommends"}, packages...),
		{"groupadd", "-g", fmt.Sprint(mailUID), "vmail"},
		{"useradd", "-u", fmt.Sprint(mailUID), "-g", fmt.Sprint(mailUID), "-d", "/srv/mail", "vmail"},
		{"sh", "-c", "rm -rf /var/lib/apt/lists/* /var/cache/apt/*"},
	}
	for _, step := range steps {
		if err := inside(ctx, dir, step...); err != nil {
			return err
		}
	}
	return nil
}

// inside runs a command in a tree. What it leaves running ends with it.
func inside(ctx context.Context, dir string, argv ...string) error {
	const script = `mount -t proc proc "$0/proc" && exec chroot "$0" "$@"`
	return outside(ctx, append([]string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, dir}, argv...)...)
}

func outside(ctx context.Context, argv ...string) error {
	path := os.Getenv("PATH") + ":/usr/sbin:/sbin"
	cmd := exec.CommandContext(ctx, "env", argv...)
	cmd.Env = append(os.Environ(), "PATH="+path, "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, tail(string(out)))
	}
	return nil
}

func tail(text string) string { return text[max(0, len(text)-2000):] }

var (
	codename = regexp.MustCompile(`(?m)^VERSION_CODENAME=(\S+)$`)
	uris     = regexp.MustCompile(`(?m)^URIs:\s*(\S+)`)
	debLine  = regexp.MustCompile(`(?m)^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)`)
)

// debian returns this machine's Debian release and the mirror it uses.
func debian() (suite, mirror string, err error) {
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", "", err
	}
	m := codename.FindSubmatch(release)
	if m == nil {
		return "", "", fmt.Errorf("/etc/os-release names no release: the other mail systems are installed on Debian only")
	}
	suite = string(m[1])
	// One of the two files exists, in either of the two forms.
	deb822, _ := os.ReadFile("/etc/apt/sources.list.d/debian.sources")
	if m := uris.FindSubmatch(deb822); m != nil {
		return suite, string(m[1]), nil
	}
	list, _ := os.ReadFile("/etc/apt/sources.list")
	for _, m := range debLine.FindAllSubmatch(list, -1) {
		if string(m[2]) == suite {
			return suite, string(m[1]), nil
		}
	}
	return "", "", fmt.Errorf("apt knows no Debian mirror: write one into /etc/apt/sources.list")
}
