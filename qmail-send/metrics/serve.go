package metrics

import (
	"bytes"
	"errors"
	stdlog "log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits of clients.
const (
	maxClients  = 16 // of a socket
	headerBytes = 4 << 10
	readTime    = 5 * time.Second
	writeTime   = 10 * time.Second
	// idleTime is for clients that come again: Prometheus keeps its connection.
	idleTime = 90 * time.Second
)

const path = "/metrics"

func newServer(log func(string)) *server {
	s := &server{log: log}
	s.http = &http.Server{
		Handler:                      http.HandlerFunc(s.answer),
		ReadTimeout:                  readTime,
		WriteTimeout:                 writeTime,
		IdleTimeout:                  idleTime,
		MaxHeaderBytes:               headerBytes,
		DisableGeneralOptionsHandler: true,
		// What it says is about clients, who could fill the log.
		ErrorLog: stdlog.New(discard{}, "", 0),
	}
	return s
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// serve answers the clients of a socket until it is closed.
func (s *server) serve(l net.Listener) {
	err := s.http.Serve(&limited{Listener: l, places: make(chan struct{}, maxClients)})
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		s.log(logPrefix + "warning: " + err.Error())
	}
}

// answer answers one request.
func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != path:
		refuse(w, http.StatusNotFound, "figures are at "+path)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "GET and HEAD only")
		return
	}
	s.answering.Lock()
	defer s.answering.Unlock()
	var text bytes.Buffer
	if err := write(&text, s.read()); err != nil {
		s.log(logPrefix + "warning: figures cannot be told: " + err.Error())
		refuse(w, http.StatusInternalServerError, "figures cannot be told: the log says why")
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	if r.Method == http.MethodGet {
		_, _ = w.Write(text.Bytes()) // who does not take it asks again
	}
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(why + "\n")) // as above
}

// limited is a listener that takes the next client when there is a place.
type limited struct {
	net.Listener
	places chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.places <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.places
		return nil, err
	}
	return &placed{Conn: c, places: l.places}, nil
}

// placed is the connection of a client that has a place.
type placed struct {
	net.Conn
	places chan struct{}
	over   sync.Once
}

func (c *placed) Close() error {
	c.over.Do(func() { <-c.places })
	return c.Conn.Close()
}
