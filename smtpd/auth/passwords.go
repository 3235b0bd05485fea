package auth

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"postrider/internal/saslprep"
	"postrider/internal/scram"
	"postrider/internal/wire/auth"
)

const (
	maxFile     = 8 << 20
	maxAccounts = 50000
	saltSize    = 16
	keySize     = sha256.Size // of the secret of a file
	// usualIterations are told for a name that has no keys (RFC 7677 section 4).
	usualIterations = 4096
)

var (
	errReadable = errors.New("others may read it: its mode must be 0640 or less")
	errTooLarge = fmt.Errorf("it has more than %d bytes or %d users", maxFile, maxAccounts)
	errLine     = errors.New("the line of a user in users/smtppasswd is not understood")
)

// passwords is the file, read again when it changes. It is an auth.Verifier.
type passwords struct {
	path   string
	log    func(line string)
	secret []byte // of this process, for a file that has none

	mu   sync.Mutex
	seen unix.Stat_t
	book *book
	err  error
}

// book is what the file says. It never changes.
type book struct {
	accounts map[string]account
	// secret makes what names have that are not there. It is the file's, so that
	// nobody sees by what changes when qmail-auth starts who is there.
	secret []byte
	list   []place // the accounts on a ring
	plain  bool    // a password is kept as it is: it does for CRAM-MD5
	scram  bool    // all accounts have keys of SCRAM, or make them
}

// place is that of an account on the ring.
type place struct {
	at uint64
	account
}

// account is the line of a user; the zero hash is one that is not understood.
type account struct{ hash hash }

func newPasswords(path string, log func(string)) *passwords {
	secret := make([]byte, keySize)
	_, _ = rand.Read(secret) // never fails
	return &passwords{path: path, log: log, secret: secret}
}

// current returns the book as the file is now.
func (p *passwords) current() (*book, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var st unix.Stat_t
	if err := unix.Stat(p.path, &st); err != nil {
		st = unix.Stat_t{}
	}
	same := st.Ino != 0 && st.Ino == p.seen.Ino && st.Dev == p.seen.Dev && st.Size == p.seen.Size && st.Mtim == p.seen.Mtim && st.Ctim == p.seen.Ctim
	if same && (p.book != nil || p.err != nil) {
		return p.book, p.err
	}
	// Noted before it is read: a change meanwhile shows next time.
	p.seen = st
	before := p.err
	p.book, p.err = p.read()
	if p.err == nil {
		return p.book, nil
	}
	p.book = nil
	if before == nil || before.Error() != p.err.Error() {
		p.log(fmt.Sprintf("alert: %s: %v; nobody can log in", File, p.err))
	}
	if !errors.Is(p.err, errReadable) && !errors.Is(p.err, errTooLarge) {
		p.seen = unix.Stat_t{} // it may be the machine's trouble and not the file's
	}
	return nil, p.err
}

func (p *passwords) read() (*book, error) {
	f, err := os.Open(p.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o007 != 0 {
		return nil, errReadable
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, errTooLarge
	}
	b, wrong := parseBook(string(text), p.secret)
	for i, number := range wrong {
		if i == 10 {
			p.log(fmt.Sprintf("alert: %s: %d further lines are not understood", File, len(wrong)-i))
			break
		}
		p.log(fmt.Sprintf("alert: %s: line %d is not understood, or asks for more than the limits: its user cannot log in", File, number))
	}
	if len(b.accounts) > maxAccounts {
		return nil, errTooLarge
	}
	return b, nil
}

// Mechanisms says what all accounts can be asked. A client picks a mechanism
// before it names the user: one that not everybody has would lock some out. For
// CRAM-MD5 that is the administrator's to weigh (control/authcram).
func (p *passwords) Mechanisms() (m auth.Mechanisms) {
	b, err := p.current()
	if err != nil || len(b.list) == 0 {
		return auth.Passwords
	}
	m = auth.Passwords
	if b.plain {
		m |= auth.CRAMMD5
	}
	if b.scram {
		m |= auth.SCRAMSHA256
	}
	return m
}

// entry is what a question is about: an account and the book that it is in.
type entry struct {
	account
	known bool // it is the user's own, and no decoy
	book  *book
}

// find returns the account of a user. For a name without one it is that of
// somebody else: what follows costs as much, and then is false.
func (p *passwords) find(user string) (entry, error) {
	b, err := p.current()
	if err != nil {
		return entry{}, err
	}
	a, known := b.accounts[user]
	switch {
	case !known:
		a = b.decoy(user)
	case a.hash == nil:
		return entry{}, errLine
	}
	return entry{a, known, b}, nil
}

// Password compares a password with the hash of its user. Hashes are made from
// the form of the password that counts (RFC 4013).
func (p *passwords) Password(a auth.Attempt, password []byte) (bool, error) {
	e, err := p.find(a.User)
	if err != nil {
		return false, err
	}
	ok, err := e.hash.matches([]byte(saslprep.Prepare(string(password))))
	if !ok && err == nil && saslprep.Prepare(string(password)) != string(password) {
		// The hash may have been made of the password as it is.
		ok, err = e.hash.matches(password)
	}
	return ok && e.known && len(password) > 0, err
}

// CRAM compares the answer to a challenge (RFC 2195). Which form of the password
// it is made from is the client's choice.
func (p *passwords) CRAM(a auth.Attempt, challenge, digest []byte) (bool, error) {
	e, err := p.find(a.User)
	if err != nil {
		return false, err
	}
	password, isPlain := e.hash.(plain)
	asIs, prepared := cram(string(password), challenge), cram(saslprep.Prepare(string(password)), challenge)
	fits := subtle.ConstantTimeCompare(asIs, digest) | subtle.ConstantTimeCompare(prepared, digest)
	return fits == 1 && isPlain && e.known && password != "", nil
}

func cram(password string, challenge []byte) []byte {
	h := hmac.New(md5.New, []byte(password))
	h.Write(challenge) // a hash takes everything
	return h.Sum(nil)
}

// Salt returns that of a user's keys, or an invented one.
func (p *passwords) Salt(a auth.Attempt) (salt []byte, iterations uint32, err error) {
	e, err := p.find(a.User)
	if err != nil {
		return nil, 0, err
	}
	if keys, is := e.hash.(keys); is {
		if e.known {
			return keys.Salt, keys.Iterations, nil
		}
		return e.book.invented("salt", a.User, len(keys.Salt)), keys.Iterations, nil
	}
	return e.book.invented("salt", a.User, saltSize), usualIterations, nil
}

// Proof checks a proof of SCRAM; a password that is kept as it is has keys of
// the salt that Salt says.
func (p *passwords) Proof(a auth.Attempt, message, proof []byte) (signature []byte, ok bool, err error) {
	e, err := p.find(a.User)
	if err != nil {
		return nil, false, err
	}
	var k scram.Keys
	known := e.known
	switch h := e.hash.(type) {
	case keys:
		k = h.Keys
	default:
		password, isPlain := h.(plain)
		known = known && isPlain && password != ""
		if k, err = scram.Derive(saslprep.Prepare(string(password)), e.book.invented("salt", a.User, saltSize), usualIterations); err != nil {
			return nil, false, err
		}
	}
	signature, ok = k.Verify(message, proof)
	if !ok || !known {
		return nil, false, nil
	}
	return signature, true, nil
}
