// Package tcpto is queue/lock/tcpto: the hosts to which connections time out
// (spec section 5.7). All qmail-remote workers share it, and so do tools.
//
// qmail-remote, qmail-tcpto and qmail-tcpok import it. The file is qmailr's: who
// took over a worker may have written anything, which costs deliveries of mail
// to some hosts a while.
//
// # Format
//
// 64 records of 16 bytes, as qmail has them: an IPv4 address; a byte that counts
// timeouts, at most 10, and is 0 in a free record; three bytes; the time of the
// last one, 32 bits little-endian; four bytes. Behind them, for IPv6, 64 records
// of 32 bytes: address, count, three bytes, time, eight bytes. Bytes that are
// not named are zero. A file that ends early has no more records.
//
// Each change is one write of one record, so that nobody has to wait for a lock.
// Of two at the same moment one may be lost.
package tcpto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// File is below the home directory.
const File = "queue/lock/tcpto"

const (
	records   = 64 // of a family
	size4     = 16
	size6     = 32
	begin6    = records * size4
	size      = begin6 + records*size6
	maxCount  = 10
	weightSec = 1024 // a timeout counts as so many seconds when room is needed
)

// Entry is what is known of a host.
type Entry struct {
	Addr     netip.Addr
	Timeouts int
	Last     time.Time
}

// Table is the open file. A nil Table is empty, and keeps nothing.
type Table struct{ f *os.File }

// Open opens the file below a home directory, to change it or only to read it.
func Open(home string, change bool) (*Table, error) {
	flag := os.O_RDONLY
	if change {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(home+"/"+File, flag|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file", f.Name())
	}
	if err != nil {
		_ = f.Close() // only read from
		return nil, err
	}
	return &Table{f}, nil
}

// Close closes the file.
func (t *Table) Close() error { return t.f.Close() }

// Snapshot is the table at one moment.
type Snapshot struct {
	b [size]byte
}

// Read reads the table into s. What cannot be read is as if it were not there.
func (t *Table) Read(s *Snapshot) error {
	clear(s.b[:])
	if t == nil {
		return nil
	}
	n, err := t.f.ReadAt(s.b[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		clear(s.b[:])
		return err
	}
	clear(s.b[n:])
	return nil
}

// place is where a record is, and how it is laid out.
type place struct{ at, size, addr int }

func (s *Snapshot) record(p place) []byte { return s.b[p.at : p.at+p.size] }

// placeOf returns record i of a family.
func placeOf(four bool, i int) place {
	if four {
		return place{i * size4, size4, 4}
	}
	return place{begin6 + i*size6, size6, 16}
}

func (s *Snapshot) entry(p place) (e Entry, used bool) {
	r := s.record(p)
	addr, _ := netip.AddrFromSlice(r[:p.addr])
	e = Entry{addr, int(r[p.addr]), time.Unix(int64(binary.LittleEndian.Uint32(r[p.addr+4:])), 0)}
	return e, e.Timeouts > 0
}

// Entries lists all hosts.
func (s *Snapshot) Entries() (all []Entry) {
	for _, four := range []bool{true, false} {
		for i := range records {
			if e, used := s.entry(placeOf(four, i)); used {
				all = append(all, e)
			}
		}
	}
	return all
}

// Empty reports whether there is none.
func (s *Snapshot) Empty() bool {
	for _, four := range []bool{true, false} {
		for i := range records {
			if _, used := s.entry(placeOf(four, i)); used {
				return false
			}
		}
	}
	return true
}

// Look finds a host.
func (s *Snapshot) Look(addr netip.Addr) (e Entry, found bool) {
	_, e, found = s.find(addr)
	return e, found
}

func (s *Snapshot) find(addr netip.Addr) (p place, e Entry, found bool) {
	for i := range records {
		p = placeOf(addr.Is4(), i)
		if e, used := s.entry(p); used && e.Addr == addr {
			return p, e, true
		}
	}
	return place{}, Entry{}, false
}

// Put writes down what is known of a host. Where there is no room, the one goes
// whose last timeout is the longest ago, each of its timeouts counting for 1024
// seconds.
func (t *Table) Put(e Entry) error {
	if t == nil {
		return nil
	}
	var s Snapshot
	if err := t.Read(&s); err != nil {
		return err
	}
	p, _, found := s.find(e.Addr)
	if !found {
		p = s.room(e.Addr.Is4())
	}
	record := make([]byte, p.size)
	copy(record, e.Addr.AsSlice())
	record[p.addr] = byte(min(e.Timeouts, maxCount))
	binary.LittleEndian.PutUint32(record[p.addr+4:], uint32(e.Last.Unix()))
	_, err := t.f.WriteAt(record, int64(p.at))
	return err
}

// room finds the record that is needed least.
func (s *Snapshot) room(four bool) (best place) {
	var least int64
	for i := range records {
		p := placeOf(four, i)
		e, used := s.entry(p)
		if !used {
			return p
		}
		if weight := e.Last.Unix() + weightSec*int64(e.Timeouts); i == 0 || weight < least {
			best, least = p, weight
		}
	}
	return best
}

// Forget takes a host out, if it is there.
func (t *Table) Forget(addr netip.Addr) error {
	if t == nil {
		return nil
	}
	var s Snapshot
	if err := t.Read(&s); err != nil {
		return err
	}
	p, _, found := s.find(addr)
	if !found {
		return nil
	}
	_, err := t.f.WriteAt(make([]byte, p.size), int64(p.at))
	return err
}

// Clear takes all hosts out.
func (t *Table) Clear() error {
	_, err := t.f.WriteAt(make([]byte, size), 0)
	return err
}
