package testhost

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// The suite is built once per test run, into a directory that stays: what has
// not changed since the last run is not linked again. Every host sees the
// directory read-only as builtPath.
const builtPath = "/run/suite"

// built returns the directory for this source tree and user.
var builtDir = sync.OnceValues(func() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	tree := sha256.Sum256([]byte(root))
	dir := filepath.Join(cache, fmt.Sprintf("postrider-testhost-%d-%x", os.Getuid(), tree[:6]))
	return dir, errors.Join(os.MkdirAll(filepath.Join(dir, "bin"), 0o755), os.MkdirAll(filepath.Join(dir, "moved"), 0o755))
})

// moduleRoot is the directory of go.mod above the package that is tested.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the test's directory")
		}
		dir = parent
	}
}

// buildSuite builds every program of the suite, and the ones on a clock that
// moves.
var buildSuite = sync.OnceValue(func() error {
	dir, err := builtDir()
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	unlock, err := lockBuilt(dir, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock()
	for target, packages := range map[string]string{"bin": "./cmd/...", "moved": "./internal/testhost/moved/..."} {
		if err := removeStale(filepath.Join(dir, target), filepath.Join(root, "cmd")); err != nil {
			return err
		}
		build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", linkerFlags(), "-o", filepath.Join(dir, target)+"/", packages)
		build.Dir = root
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(build.Args, " "), err, out)
		}
	}
	return nil
})

// linkerFlags are those of the Makefile, but that the names of symbols stay: see
// Goroutines.
func linkerFlags() string {
	flags := "-w"
	if runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64" {
		flags += " -E _postrider_entry" // internal/world
	}
	return flags
}

// Programs builds the suite, as hosts have it, and returns the directory with
// its programs.
func Programs(t testing.TB) string {
	t.Helper()
	dir, err := builtDir()
	if err == nil {
		err = buildSuite()
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "bin")
}

// removeStale removes programs that the source tree has no more.
func removeStale(dir, cmd string) error {
	programs, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(cmd, p.Name())); errors.Is(err, os.ErrNotExist) {
			if err := os.Remove(filepath.Join(dir, p.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// lockBuilt keeps others from building while programs are copied.
func lockBuilt(dir string, how int) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Shared returns a directory that stays between test runs and that every host
// sees, read-only by agreement: its name for the test and its name in hosts.
func Shared(name string) (outside, inside string, err error) {
	dir, err := builtDir()
	if err != nil {
		return "", "", err
	}
	outside = filepath.Join(dir, name)
	return outside, filepath.Join(builtPath, name), os.MkdirAll(outside, 0o755)
}
