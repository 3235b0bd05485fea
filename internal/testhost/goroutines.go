package testhost

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"strconv"
)

// Goroutines returns the most goroutines that a process of the host ever had at
// once, and 0 for one that has ended: Go's runtime keeps those that have ended
// for the next ones, and counts what it has in runtime.allglen.
func (h *Host) Goroutines(pid int) int {
	h.t.Helper()
	dir := h.Path("/proc/" + strconv.Itoa(pid))
	program, err := elf.Open(dir + "/exe")
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		h.t.Fatalf("program of process %d: %v", pid, err)
	}
	defer program.Close()
	symbols, err := program.Symbols()
	if err != nil {
		h.t.Fatalf("symbols of process %d: %v", pid, err)
	}
	i := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == "runtime.allglen" })
	if i < 0 || symbols[i].Size != 8 {
		h.t.Fatalf("process %d: Go's runtime counts its goroutines elsewhere", pid)
	}
	memory, err := os.Open(dir + "/mem")
	if err != nil {
		return 0
	}
	defer memory.Close()
	var count [8]byte
	if n, err := memory.ReadAt(count[:], int64(symbols[i].Value)); n < len(count) {
		if err == nil || errors.Is(err, io.EOF) { // its memory is gone
			return 0
		}
		h.t.Fatalf("memory of process %d: %v", pid, err)
	}
	return int(binary.NativeEndian.Uint64(count[:]))
}
