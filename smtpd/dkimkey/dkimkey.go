// Package dkimkey is qmail-dkimkey, which makes keys of DKIM and says what to write
// into the DNS and into control/dkimsign. qmail-tlskey signs with them.
//
// Only cmd/qmail-dkimkey imports it. Its arguments are the administrator's, and so
// are the keys that it reads; it never replaces one, and shows none.
package dkimkey

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"postrider/internal/dkim"
	"postrider/internal/dkimsign"
	"postrider/internal/getopt"
	"postrider/internal/idn"
	"postrider/internal/privatekey"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK     = 0
	exitUsage  = 100
	exitFailed = 111
)

const usage = "usage: qmail-dkimkey [-r] [-a rsa|ed25519] domain selector [key]"

// rsaBits: the record of a longer one does not fit one packet of the DNS.
const rsaBits = 2048

// maxText is the longest string of a TXT record (RFC 1035 section 3.3).
const maxText = 255

// order is what qmail-dkimkey is told to do.
type order struct {
	algorithm, domain, selector, name string

	service string // what the key is for; empty: any mail
}

// Main is qmail-dkimkey.
func Main(w world.World) int {
	unix.Umask(0o077)
	o, err := parseOrder(w.Args[1:])
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-dkimkey: %v\n%s\n", err, usage)
		return exitUsage
	}
	text, err := o.run(w.Home, syncPath)
	if err == nil {
		_, err = io.WriteString(w.Stdout, text)
	}
	if err != nil {
		fmt.Fprintf(w.Stderr, "qmail-dkimkey: fatal: %v\n", err)
		return exitFailed
	}
	return exitOK
}

func parseOrder(args []string) (o order, err error) {
	opts, rest, err := getopt.Parse(args, "ra:")
	if err != nil {
		return o, err
	}
	o.algorithm = "rsa"
	for _, opt := range opts {
		switch opt.Letter {
		case 'r':
			o.service = dkim.ForReports
		default:
			o.algorithm = opt.Value
		}
	}
	if o.algorithm != "rsa" && o.algorithm != "ed25519" {
		return o, fmt.Errorf("%q is not rsa or ed25519", o.algorithm)
	}
	if len(rest) < 2 || len(rest) > 3 {
		return o, errors.New("a domain and a selector are wanted")
	}
	o.domain, o.selector = idn.Key(rest[0]), strings.ToLower(rest[1])
	o.name = o.domain + "/" + o.selector
	if len(rest) == 3 {
		o.name = rest[2]
	}
	switch {
	case !dkimsign.IsDomain(o.domain):
		return o, fmt.Errorf("%q is no domain", rest[0])
	case !dkimsign.IsSelector(o.selector):
		return o, fmt.Errorf("%q is no selector", rest[1])
	case !dkimsign.IsKeyName(o.name):
		return o, fmt.Errorf("%q cannot be the name of a key in control/%s", o.name, dkimsign.KeyDir)
	}
	return o, nil
}

// run makes the key unless it is there, and returns what is to be done next. sync
// makes a file or a directory durable.
//
// The record is shown only when the key and its names are durable, also if a run
// before this one made it and did not come that far: a record in the DNS whose
// key a power cut has taken would make forgeries of all mail that is signed by
// the next one.
func (o order) run(home string, sync func(path string) error) (string, error) {
	control := filepath.Join(home, "control")
	path := filepath.Join(control, dkimsign.KeyDir, o.name)
	made := "is there already"
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := o.generate(path); err != nil {
			return "", err
		}
		made = "is made"
	} else if err != nil {
		return "", err
	}
	public, err := readPublic(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	record, err := dkim.Record(public, pkix, o.service)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	// The file first, and then each directory up to the one that was there before.
	for name := path; ; name = filepath.Dir(name) {
		if err := sync(name); err != nil {
			return "", err
		}
		if name == control {
			break
		}
	}
	return fmt.Sprintf("# control/%s/%s %s. In the DNS:\n%s._domainkey.%s. IN TXT %s\n# When that can be looked up, a line of control/dkimsign, and HUP to qmail-start:\n%s %s %s\n",
		dkimsign.KeyDir, o.name, made, o.selector, o.domain, quoted(record), o.domain, o.selector, o.name), nil
}

// syncPath makes durable what is there under a name.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// readPublic returns the public half of a key that qmail-tlskey will take. No
// error holds a byte of the file.
func readPublic(path string) (crypto.PublicKey, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // was only read
	text, err := io.ReadAll(io.LimitReader(f, privatekey.MaxFile+1))
	defer func() { clear(text) }()
	if err != nil {
		return nil, err
	}
	key, err := privatekey.ParseDKIM(text)
	if err != nil {
		return nil, err
	}
	return key.Public(), nil
}

// generate makes a key. One that is there is never replaced: mail that was signed
// by it is still under way.
func (o order) generate(path string) error {
	var key crypto.Signer
	var err error
	if o.algorithm == "rsa" {
		key, err = rsa.GenerateKey(rand.Reader, rsaBits)
	} else {
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name then, or is of no use
	defer f.Close()           // again, if all went well
	if err := pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}); err != nil {
		return err
	}
	if err := f.Sync(); err != nil { // it has all of its bytes before it has its name
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}

// quoted is a record as zone files have it, in strings that are not too long.
func quoted(record string) string {
	if len(record) <= maxText {
		return `"` + record + `"`
	}
	var b strings.Builder
	b.WriteString("(")
	for record != "" {
		n := min(len(record), maxText)
		b.WriteString(` "` + record[:n] + `"`)
		record = record[n:]
	}
	b.WriteString(" )")
	return b.String()
}
