package accounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// manyAccounts is a passwd of so many.
func manyAccounts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "user%d:x:%d:100:User number %d,,,:/home/%d/user%d:/usr/sbin/nologin\n", i, 10000+i, i, i%100, i)
	}
	return b.String()
}

func TestManyAccounts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	const n = 5000
	writeFile(t, path, manyAccounts(n)+manyAccounts(n/2)+"last:x:7:8::/last:")
	p := NewPasswd(path)
	for i := range n {
		want := Account{fmt.Sprintf("user%d", i), uint32(10000 + i), 100, fmt.Sprintf("/home/%d/user%d", i%100, i), "/usr/sbin/nologin"}
		if got, err := p.Lookup(want.Name); got != want || err != nil {
			t.Fatalf("%+v, %v, want %+v", got, err, want)
		}
	}
	for _, name := range []string{"user", fmt.Sprintf("user%d", n), "user1x", "lastx"} {
		if got, err := p.Lookup(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// While a new file is being read, those of the old one are found, and who is not
// in that waits. A FIFO is a file whose reading takes until somebody has written
// all of it.
func TestNewAccountMakesNobodyWait(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "passwd")
	writeFile(t, path, manyAccounts(100))
	p := NewPasswd(path)
	if _, err := p.Lookup("user1"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unix.Mkfifo(path+".new", 0o600), os.Rename(path+".new", path)); err != nil {
		t.Fatal(err)
	}
	type found struct {
		account Account
		err     error
	}
	ask := func(name string) chan found {
		c := make(chan found, 1)
		go func() {
			a, err := p.Lookup(name)
			c <- found{a, err}
		}()
		return c
	}
	reader := ask("user2")                            // reads the new file
	writing, err := os.OpenFile(path, os.O_WRONLY, 0) // returns once it does
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if a, err := p.Lookup(fmt.Sprintf("user%d", i)); err != nil || a.UID != uint32(10000+i) {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	waits := ask("jim")
	select {
	case f := <-waits:
		t.Errorf("somebody new: %+v, before the new file is known", f)
	case f := <-reader:
		t.Errorf("the reader: %+v, before the new file is known", f)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err := writing.WriteString(manyAccounts(100) + "jim:x:1:2::/jim:\n"); err != nil {
		t.Fatal(err)
	}
	// From here on it is a plain file: a FIFO can be read once.
	writeFile(t, path+".new", manyAccounts(100)+"jim:x:1:2::/jim:\n")
	if err := errors.Join(os.Rename(path+".new", path), writing.Close()); err != nil {
		t.Fatal(err)
	}
	if f := <-reader; f.err != nil || f.account.Name != "user2" {
		t.Errorf("the reader: %+v", f)
	}
	if f := <-waits; f.err != nil || f.account.Home != "/jim" {
		t.Errorf("somebody new: %+v", f)
	}
}

// manyUsers is a users/cdb of so many.
func manyUsers(n int) [][2]string {
	records := [][2]string{{"", "-"}}
	for i := range n {
		records = append(records, [2]string{fmt.Sprintf("!user%d\x00", i), user("vmail", "1001", "1002", fmt.Sprintf("/home/vmail/%d/user%d", i%100, i), "", "")})
	}
	return records
}

// While a large users/cdb is replaced, everybody else is found as before, and the
// new user from then on.
func TestNewUserMakesNobodyWait(t *testing.T) {
	t.Parallel()
	const users = 60_000
	path := usersDB(t, manyUsers(users)...)
	if st, err := os.Stat(path); err != nil || st.Size() <= maxCached {
		t.Fatalf("%v, %v", st, err)
	}
	db := NewUsersDB(path)
	stop, stopped, found := make(chan bool), make(chan bool), new(atomic.Int64)
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if r, err := db.Lookup(fmt.Sprintf("user%d", i*7919%users)); err != nil || r.User != "vmail" {
				t.Errorf("%+v, %v", r, err)
				return
			}
			found.Add(1)
		}
	}()
	for round := range 3 {
		name := fmt.Sprint("new", round)
		if _, err := db.Lookup(name); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", name, err)
		}
		before := found.Load()
		next := usersDB(t, append(manyUsers(users), [2]string{"!" + name + "\x00", user("vmail", "1001", "1002", "/home/new", "", "")})...)
		if found.Load() == before {
			t.Error("nobody was found meanwhile")
		}
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		if r, err := db.Lookup(name); err != nil || r.Home != "/home/new" {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	close(stop)
	<-stopped
}

func BenchmarkPasswd(b *testing.B) {
	for _, users := range []int{100, 100_000} {
		path := filepath.Join(b.TempDir(), "passwd")
		writeFile(b, path, manyAccounts(users))
		b.Run(fmt.Sprint("lookup of ", users), func(b *testing.B) {
			p := NewPasswd(path)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := p.Lookup(fmt.Sprintf("user%d", i*7919%users)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprint("new file of ", users), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NewPasswd(path).Lookup("user0"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
