package load

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

// sink is a next host that takes everything. It answers once when it listens
// and once when it has o.Messages recipients, and ends with its input.
func sink(o Order, input io.Reader, say func(Answer)) error {
	l, err := net.Listen("tcp", o.Server)
	if err != nil {
		return err
	}
	say(Answer{Began: time.Now()})
	s := &sinkCount{want: o.Messages, say: say}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go s.serve(c)
		}
	}()
	_, err = io.Copy(io.Discard, input)
	l.Close()
	return err
}

type sinkCount struct {
	want int
	say  func(Answer)

	mu  sync.Mutex
	got int
}

func (s *sinkCount) add(recipients int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.got
	s.got += recipients
	if before < s.want && s.got >= s.want {
		s.say(Answer{Ended: time.Now(), Count: s.got})
	}
}

// serve answers what is there and only then flushes, for clients that send
// several commands at once.
func (s *sinkCount) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 16<<10)
	w := bufio.NewWriter(c)
	recipients, inData := 0, false
	reply := "220 sink.test ESMTP\r\n"
	for {
		// A client that has gone is seen at the next read.
		_, _ = w.WriteString(reply)
		if r.Buffered() == 0 {
			_ = w.Flush()
		}
		line, err := r.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
		reply = ""
		switch {
		case inData && string(line) == ".\r\n":
			s.add(recipients)
			recipients, inData, reply = 0, false, "250 ok\r\n"
		case inData:
		default:
			switch reply = "250 ok\r\n"; string(bytes.ToUpper(line[:min(4, len(line))])) {
			case "EHLO":
				reply = "250-sink.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
			case "RCPT":
				recipients++
			case "DATA":
				inData, reply = true, "354 go ahead\r\n"
			case "QUIT":
				_, _ = w.WriteString("221 bye\r\n")
				_ = w.Flush()
				return
			}
		}
	}
}
