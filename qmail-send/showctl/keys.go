package showctl

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"postrider/internal/dkimsign"
)

// soon is how long before its end a certificate is told of.
const soon = 14 * 24 * time.Hour

// keys looks at certificates and keys. Private keys are read by the code of
// qmail-tlskey, and forgotten at once.
func (i *inspector) keys() {
	me, _ := i.dir.Line("me", "")
	greeting, _ := i.dir.LineOrMe("smtpgreeting", "")
	names := []string{me}
	if words := strings.Fields(greeting); len(words) > 0 && words[0] != me {
		names = append(names, words[0])
	}
	i.certificate("servercert.pem", names...)
	hosts, err := os.ReadDir(i.path("servercerts"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		i.unreadable(i.path("servercerts"), err)
	}
	for _, h := range hosts {
		if !strings.HasPrefix(h.Name(), ".") {
			i.certificate(filepath.Join("servercerts", h.Name(), "servercert.pem"), h.Name())
		}
	}
	i.certificate("clientcert.pem")
	i.dkim()
}

// certificate looks at one file with a key; it is for one of the names, if there
// are any.
func (i *inspector) certificate(file string, names ...string) {
	if !i.plainFiles(i.path(file)) {
		return
	}
	chain, err := i.parts.Certificates(i.path(file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case errors.Is(err, fs.ErrPermission):
		i.unreadable(i.path(file), err)
		return
	case err != nil:
		i.errorIn(file, 0, err.Error(), "Put the private key, its certificate, and those that lead to the root, into the file. Until then there is no TLS by it.")
		return
	}
	i.private(file)
	leaf := chain[0]
	i.validity(file, leaf)
	for _, name := range names {
		if name != "" && leaf.VerifyHostname(name) != nil {
			i.warn(file, 0, fmt.Sprintf("the certificate is not for %s, but for %s", name, strings.Join(leaf.DNSNames, ", ")),
				"Get one for that name: hosts that verify it deliver no mail.")
		}
	}
	i.leadsUp(file, chain)
}

// private checks that nobody but root can have a private key.
func (i *inspector) private(file string) {
	st, err := os.Stat(i.path(file))
	if err != nil {
		return // was read a moment ago
	}
	owner := st.Sys().(*syscall.Stat_t).Uid
	if mode := st.Mode().Perm(); mode&0o077 != 0 || owner != i.in.UID {
		i.errorIn(file, 0, fmt.Sprintf("it holds a private key, and belongs to uid %d with the mode %04o", owner, mode),
			fmt.Sprintf("chown %d %s && chmod 600 %s; if others could read it, get another key.", i.in.UID, i.path(file), i.path(file)))
	}
}

// validity looks at the days of a certificate.
func (i *inspector) validity(file string, c *x509.Certificate) {
	const renew = "Renew it, and send HUP to qmail-start."
	switch end := c.NotAfter.UTC().Format(time.DateOnly); {
	case i.now.After(c.NotAfter):
		i.errorIn(file, 0, "the certificate is not valid since "+end, renew)
	case i.now.Before(c.NotBefore):
		i.errorIn(file, 0, "the certificate is not valid before "+c.NotBefore.UTC().Format(time.DateOnly), "Is the clock of this machine right?")
	case c.NotAfter.Sub(i.now) < soon:
		i.warn(file, 0, "the certificate is valid until "+end+" only", renew)
	default:
		i.facts = append(i.facts, file+": the certificate is valid until "+end)
	}
}

// leadsUp checks that each certificate is issued by the next one.
func (i *inspector) leadsUp(file string, chain []*x509.Certificate) {
	for n, c := range chain[:len(chain)-1] {
		if c.CheckSignatureFrom(chain[n+1]) != nil {
			i.warn(file, 0, fmt.Sprintf("certificate %d is not issued by the one behind it", n+1), "Put them in this order: that of this host, then each by the next.")
			return
		}
	}
	last := chain[len(chain)-1]
	if len(chain) == 1 && last.CheckSignatureFrom(last) != nil && string(last.RawIssuer) != string(last.RawSubject) {
		i.warn(file, 0, "the certificates of its issuers are missing: "+last.Issuer.CommonName, "Put them behind it: not every host has them.")
	}
}

// dkim looks at the keys that control/dkimsign names, and keeps what the DNS has
// to say of them for hosts.
func (i *inspector) dkim() {
	table, err := dkimsign.Read(i.dir)
	if err != nil {
		return // its reader says so
	}
	for _, name := range table.Keys() {
		file := filepath.Join(dkimsign.KeyDir, name)
		if !i.plainFiles(i.path(file)) {
			continue
		}
		_, err := i.parts.DKIMKey(i.path(file))
		switch {
		case err == nil:
			i.private(file)
		case errors.Is(err, fs.ErrPermission) && !i.root:
			i.unreadable(i.path(file), err)
		case errors.Is(err, fs.ErrNotExist):
			i.errorIn(file, 0, "control/dkimsign names this key, and there is none", "Make it with qmail-dkimkey: until then mail that it signs waits, and qmail-start does not start.")
		default:
			i.errorIn(file, 0, reason(err), "Make it anew with qmail-dkimkey: until then mail that it signs waits.")
		}
	}
}
