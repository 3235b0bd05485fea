package inject

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"postrider/internal/world"
)

// recordTo is the variable that makes the test binary a queue program, which
// writes what it gets into that directory.
const recordTo = "INJECT_TEST_RECORD"

// testDir is for what all tests of a run share.
var testDir string

func TestMain(m *testing.M) {
	if dir, set := os.LookupEnv(recordTo); set {
		os.Exit(record(dir))
	}
	var err error
	if testDir, err = os.MkdirTemp("", "postrider-inject-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := os.RemoveAll(testDir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// record is a queue program (spec section 1.1) that keeps the message, or exits
// as $RECORD_EXIT says.
func record(dir string) int {
	message, err := io.ReadAll(os.NewFile(0, "message"))
	if err != nil {
		return 54
	}
	envelope, err := io.ReadAll(os.NewFile(1, "envelope"))
	if status, statusErr := os.ReadFile(fmt.Sprintf("/proc/%d/status", os.Getppid())); statusErr == nil {
		// Whoever submits has done all of its work, and waits.
		if os.WriteFile(filepath.Join(dir, "status"), status, 0o600) != nil {
			return 53
		}
	}
	if err != nil || !bytes.HasSuffix(envelope, []byte("\x00\x00")) {
		return 54
	}
	code := 0
	_, _ = fmt.Sscan(os.Getenv("RECORD_EXIT"), &code)
	if code != 0 {
		return code
	}
	if os.WriteFile(filepath.Join(dir, "message"), message, 0o600) != nil {
		return 53
	}
	if os.WriteFile(filepath.Join(dir, "envelope"), envelope, 0o600) != nil {
		return 53
	}
	return 0
}

// fixedClock stands still.
type fixedClock struct{}

func (fixedClock) Now() time.Time {
	return time.Date(2026, 11, 22, 0, 37, 36, 0, time.UTC)
}

func (fixedClock) At(time.Time) (<-chan time.Time, func()) { return nil, func() {} }

// result is what one run of a program did.
type result struct {
	code           int
	stdout, stderr string
	queued         bool
	message        string
	sender         string
	recipients     []string
	memory         int64 // at its largest; 0 if the queue program was not started
	cpu            time.Duration
}

// control is the home directory that tests use: its files and their lines.
type controlFiles map[string]string

var usualControl = controlFiles{"me": "me.example.org\n"}

func home(t testing.TB, files controlFiles) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/control", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(dir+"/control/"+name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run1 runs a program with a queue program that records.
func run1(t testing.TB, program func(world.World) int, files controlFiles, env []string, input string, args ...string) result {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := func(name, text string) *os.File {
		if err := os.WriteFile(dir+"/"+name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(dir+"/"+name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	w := world.World{
		Args:    args,
		Environ: append([]string{recordTo + "=" + dir, "QMAILQUEUE=" + self}, env...),
		Stdin:   file("stdin", input),
		Stdout:  file("stdout", ""),
		Stderr:  file("stderr", ""),
		Home:    home(t, files),
		Clock:   fixedClock{},
	}
	r := result{code: program(w)}
	r.stdout, r.stderr = masked(readFile(t, dir+"/stdout")), masked(readFile(t, dir+"/stderr"))
	r.read(t, dir, masked)
	return r
}

// read takes what the queue program has recorded, if it was started.
func (r *result) read(t testing.TB, dir string, mask func(string) string) {
	t.Helper()
	r.memory = peakMemory(readFile(t, dir+"/status"))
	envelope := readFile(t, dir+"/envelope")
	if envelope == "" {
		return
	}
	r.queued, r.message = true, mask(readFile(t, dir+"/message"))
	records := strings.Split(strings.TrimSuffix(envelope, "\x00\x00"), "\x00")
	r.sender = mask(strings.TrimPrefix(records[0], "F"))
	for _, record := range records[1:] {
		r.recipients = append(r.recipients, strings.TrimPrefix(record, "T"))
	}
}

// readFile returns a file's text, or nothing if there is no such file.
func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

var pidInID = regexp.MustCompile(`20261122003736\.\d+\.qmail@`)

// masked takes the process id out of Message-ID.
func masked(s string) string { return pidInID.ReplaceAllString(s, "20261122003736.PID.qmail@") }

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
