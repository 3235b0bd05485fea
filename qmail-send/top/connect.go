package top

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/exposition"
	"postrider/internal/legible"
	"postrider/internal/queuedir"
	"postrider/internal/wire/manage"
)

// figuresTime is how long qmail-metrics may take to answer.
const figuresTime = 3 * time.Second

// maxHead bounds what comes before the figures.
const maxHead = 16 << 10

// errNoFigures says that nobody serves figures on this host.
var errNoFigures = errors.New("qmail-metrics does not run")

// fetchFigures asks the socket at path, in HTTP/1.0, which is little enough to
// do without a library: the answer ends with the connection.
func fetchFigures(path string, now func() time.Time) (reading, error) {
	body, err := get(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return reading{}, errNoFigures
	}
	if err != nil {
		return reading{}, fmt.Errorf("unable to read figures from %s: %w", path, err)
	}
	r, err := readFigures(body, now())
	if err != nil {
		return reading{}, fmt.Errorf("figures of %s: %w", path, err)
	}
	return r, nil
}

func get(path string) (body string, err error) {
	c, err := net.DialTimeout("unix", path, figuresTime)
	if err != nil {
		return "", err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(figuresTime)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(c, exposition.MaxText+maxHead+1))
	if err != nil {
		return "", err
	}
	head, body, found := strings.Cut(string(answer), "\r\n\r\n")
	status, _, _ := strings.Cut(head, "\r\n")
	if word := strings.Fields(status); !found || len(word) < 2 || !strings.HasPrefix(word[0], "HTTP/1.") || word[1] != "200" {
		return "", fmt.Errorf("the answer is %q", cut(legible.ASCII(status), 80))
	}
	return body, nil
}

// orders is what qmail-send says on its socket.
type orders struct {
	at           time.Time
	destinations []manage.Destination
	list         *listing // if the figures do not say it
}

// listing is a count of the queue.
type listing struct {
	at     time.Time
	phases map[manage.Phase]int
	total  int
	oldest time.Time
}

// asker asks qmail-send, over one connection that lasts.
type asker struct {
	layout queuedir.Layout
	now    func() time.Time
	client *manage.Client
}

// times is how long answers took: for so long qmail-send may have done nothing
// else, and who asks again waits for a multiple of that.
type times struct{ destinations, list time.Duration }

// ask has the destinations told, and all messages counted if count says so.
func (a *asker) ask(count bool) (o orders, took times, err error) {
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.client == nil {
		if a.client, err = manage.Dial(a.layout.Manage()); err != nil {
			return o, took, err
		}
	}
	began := a.now()
	err = a.client.Destinations(func(some []manage.Destination) error {
		o.destinations = append(o.destinations, some...)
		return nil
	})
	o.at = a.now()
	took.destinations = max(0, o.at.Sub(began))
	if err == nil && count {
		o.list, err = a.count()
		took.list = max(0, a.now().Sub(o.at))
	}
	return o, took, err
}

// count goes through the list of all messages.
func (a *asker) count() (*listing, error) {
	l := &listing{phases: make(map[manage.Phase]int)}
	err := a.client.List(func(some []manage.State) error {
		for _, s := range some {
			l.phases[s.Phase]++
			l.total++
			if at := s.ID.Time(); l.oldest.IsZero() || at.Before(l.oldest) {
				l.oldest = at
			}
		}
		return nil
	})
	l.at = a.now()
	return l, err
}

func (a *asker) close() {
	if a.client != nil {
		a.client.Close()
		a.client = nil
	}
}
