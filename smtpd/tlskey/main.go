package tlskey

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"postrider/internal/logline"
	"postrider/internal/wire/call"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/sign"
	"postrider/internal/world"
)

// Exit codes.
const (
	exitOK   = 0
	exitTemp = 111 // the control channel is not usable
)

const (
	logPrefix = "qmail-tlskey: "
	// atOnce is how many questions are worked on.
	atOnce = 4
	// handshakeTime is how long keys that were replaced still sign: handshakes
	// have begun with their certificates.
	handshakeTime = time.Minute
)

// daemon is the process.
type daemon struct {
	log  func(line string)
	keys atomic.Pointer[[]sign.Key]
	// before are those that were replaced a moment ago.
	before atomic.Pointer[[]sign.Key]
	// files are those that were handed over since the last set was complete.
	files []keyFile
}

// keyFile is a file with a key, which the daemon owns.
type keyFile struct {
	name string
	file *os.File
}

// Main runs qmail-tlskey until its control channel ends.
func Main(w world.World) int {
	logger := logline.NewWriter(w.Stderr)
	defer logger.Close()
	channel, err := parent.Inherited()
	if err == nil {
		err = newDaemon(logger.Line).run(channel)
	}
	if err != nil {
		logger.Line(logPrefix + "fatal: " + err.Error())
		return exitTemp
	}
	return exitOK
}

func newDaemon(log func(string)) *daemon {
	d := &daemon{log: log}
	d.keys.Store(&[]sign.Key{})
	d.before.Store(&[]sign.Key{})
	return d
}

// run serves until the control channel ends. A question that then has no answer
// gets none: its handshake fails and the client comes again.
func (d *daemon) run(channel *parent.Channel) error { return channel.Run(d.frame) }

// frame does what qmail-start says.
func (d *daemon) frame(f parent.Frame) error {
	switch {
	case f.Kind == parent.Key:
		if len(d.files) >= sign.MaxChains {
			_ = f.File.Close() // was not read
			return fmt.Errorf("more than %d keys", sign.MaxChains)
		}
		d.files = append(d.files, keyFile{f.Name, f.File})
	case f.Kind == parent.KeysComplete:
		d.load()
	case f.Kind == parent.Link && isOurs(f.Name):
		go d.serve(f.File)
	case f.File != nil:
		_ = f.File.Close() // not for us
		d.log(logPrefix + "warning: control channel hands over " + f.Name + ", which is not for qmail-tlskey")
	}
	return nil
}

// isOurs tells the names of links that ask for signatures.
func isOurs(name string) bool {
	return name == parent.SignSMTPD || strings.HasPrefix(name, parent.Sign+".remote.") || strings.HasPrefix(name, parent.DKIM+".remote.")
}

// load reads the files that were handed over; only all together they count, but
// for those of DKIM.
func (d *daemon) load() {
	files := d.files
	d.files = nil
	defer func() {
		for _, f := range files {
			_ = f.file.Close() // was only read
		}
	}()
	keys := make([]sign.Key, 0, len(files))
	var lines []string
	for _, f := range files {
		key, err := readKey(f)
		if err != nil && f.isDKIM() {
			keys = append(keys, d.without(f, err)...)
			continue
		}
		if err != nil {
			d.log(fmt.Sprintf("%salert: %s: %v; %s", logPrefix, f.path(), err, d.instead()))
			return
		}
		keys = append(keys, key)
		lines = append(lines, describe(f, key))
	}
	d.replace(keys)
	for _, line := range lines {
		d.log(logPrefix + line)
	}
}

// replace puts new keys into force.
func (d *daemon) replace(keys []sign.Key) {
	before := d.keys.Load()
	d.before.Store(before)
	d.keys.Store(&keys)
	time.AfterFunc(handshakeTime, func() { d.before.CompareAndSwap(before, &[]sign.Key{}) })
}

// instead says what happens without the new keys.
func (d *daemon) instead() string {
	if len(*d.keys.Load()) == 0 {
		return "there is no TLS"
	}
	return "the keys before it stay"
}

// serve answers the questions of a link.
func (d *daemon) serve(link *os.File) {
	err := call.Serve(link, atOnce, func(question []byte) []byte {
		// In this order, a key that is being replaced is in one of them.
		keys := *d.keys.Load()
		return sign.Answer(question, keys, *d.before.Load())
	})
	if err != nil {
		d.log(logPrefix + "warning: link: " + err.Error())
	}
}
