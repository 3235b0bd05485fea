package sandbox

import (
	"fmt"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Access is what may be done with a file, or with everything below a directory.
type Access uint64

const (
	// Read is to open files for reading.
	Read Access = ll.AccessFSReadFile
	// List is to open directories.
	List Access = ll.AccessFSReadDir
	// Write is to change files that are there.
	Write Access = ll.AccessFSWriteFile | ll.AccessFSTruncate
	// Create is to make regular files.
	Create Access = ll.AccessFSMakeReg
	// MakeDir is to make directories.
	MakeDir Access = ll.AccessFSMakeDir
	// Remove is to remove files.
	Remove Access = ll.AccessFSRemoveFile
	// Move is to rename files from one directory into another; both need it.
	Move Access = ll.AccessFSRefer
)

// File is a file or a directory, which must exist, with what may be done there.
type File struct {
	Path   string
	Access Access
}

// Realm is what a process may still reach.
type Realm struct {
	Files []File
	// Connect allows to connect by TCP to any port, Ports to these.
	Connect bool
	Ports   []uint16
	// AnyPort allows to bind a TCP socket to a port of the kernel's choice.
	AnyPort bool
}

const (
	// abiFiles is the first version of Landlock by which files can be moved,
	// abiPorts the first that knows of TCP.
	abiFiles = 2
	abiPorts = 4
	// abiThreads is the first that restricts all threads at once. In those
	// before it, threads could not signal each other if signals were confined,
	// unless the kernel says that this is repaired.
	abiThreads    = 8
	erratumSignal = 1 << 1
)

// Apply takes everything else away from all threads, for ever, and sets
// no_new_privs. What the kernel cannot do is left out.
func (r Realm) Apply() error {
	abi := landlockVersion()
	if abi < abiFiles {
		return nil
	}
	c := landlock.V7
	if r.Connect {
		c.HandledAccessNet &^= ll.AccessNetConnectTCP
	}
	if errata, err := ll.LandlockGetErrata(); !signalsWork(abi, errata, err) {
		c.Scoped &^= ll.ScopeSignal
	}
	if err := c.BestEffort().Restrict(r.rules(abi)...); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return nil
}

// signalsWork tells whether threads can signal each other where signals are
// confined.
func signalsWork(abi, errata int, err error) bool {
	return abi >= abiThreads || err == nil && errata&erratumSignal != 0
}

// rules are those that this version of Landlock knows.
func (r Realm) rules(abi int) (rules []landlock.Rule) {
	for _, f := range r.Files {
		rules = append(rules, landlock.PathAccess(landlock.AccessFSSet(f.Access), f.Path))
	}
	if r.AnyPort && abi >= abiPorts {
		rules = append(rules, landlock.BindTCP(0))
	}
	if abi >= abiPorts {
		for _, port := range r.Ports {
			rules = append(rules, landlock.ConnectTCP(port))
		}
	}
	return rules
}

// landlockVersion returns 0 where the kernel has no Landlock.
func landlockVersion() int {
	abi, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return abi
}
