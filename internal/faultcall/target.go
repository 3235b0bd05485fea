//go:build linux && amd64

package faultcall

import (
	"bytes"
	"encoding/binary"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// targetOf says what a call is about.
func targetOf(s *stop) string {
	switch s.call.shape {
	case byFD:
		return fdName(s.process, s.args[0])
	case byPath:
		return readString(s.tid, s.args[0])
	case byAtPath:
		name := readString(s.tid, s.args[1])
		if name == "" { // AT_EMPTY_PATH, or futimens
			return fdName(s.process, s.args[0])
		}
		return name
	case byTwo:
		return readString(s.tid, s.args[0]) + " -> " + readString(s.tid, s.args[1])
	case byAtTwo:
		return readString(s.tid, s.args[1]) + " -> " + readString(s.tid, s.args[3])
	}
	return ""
}

// fdName is what /proc shows a descriptor as.
func fdName(process int, fd uint64) string {
	name, err := os.Readlink("/proc/" + strconv.Itoa(process) + "/fd/" + strconv.Itoa(int(int32(fd))))
	if err != nil {
		return "?"
	}
	return name
}

// readString reads a string that ends in NUL.
func readString(tid int, address uint64) string {
	var text []byte
	for len(text) < 4096 {
		piece := make([]byte, 64)
		n := readMemory(tid, address+uint64(len(text)), piece)
		if n == 0 {
			break
		}
		if end := bytes.IndexByte(piece[:n], 0); end >= 0 {
			return string(append(text, piece[:end]...))
		}
		text = append(text, piece[:n]...)
	}
	return string(text)
}

// readMemory fills p as far as there is memory, no further than its page.
func readMemory(tid int, address uint64, p []byte) int {
	if address == 0 {
		return 0
	}
	if room := 4096 - address%4096; uint64(len(p)) > room {
		p = p[:room]
	}
	local := []unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	n, err := unix.ProcessVMReadv(tid, local, []unix.RemoteIovec{{Base: uintptr(address), Len: len(p)}}, 0)
	if err != nil {
		return 0
	}
	return n
}

func readWord(tid int, address uint64) uint64 {
	var p [8]byte
	if readMemory(tid, address, p[:]) < len(p) {
		return 0
	}
	return binary.LittleEndian.Uint64(p[:])
}

func writeWord(tid int, address, word uint64) error {
	p := binary.LittleEndian.AppendUint64(nil, word)
	_, err := unix.PtracePokeData(tid, uintptr(address), p)
	return err
}
