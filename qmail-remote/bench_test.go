package qmailremote

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"postrider/internal/clock"
	"postrider/internal/dkimsign"
	"postrider/internal/esmtp"
	"postrider/internal/queuedir"
	"postrider/internal/resolver"
)

// sink takes every message on any number of connections.
func sink(b *testing.B) net.Listener {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go swallow(conn)
		}
	}()
	return l
}

func swallow(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	w := bufio.NewWriter(conn)
	w.WriteString("220 sink\r\n")
	data := false
	for {
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case data && string(line) == ".\r\n":
			data = false
			w.WriteString("250 queued\r\n")
		case data:
		case bytes.HasPrefix(line, []byte("EHLO")):
			w.WriteString("250-sink\r\n250-PIPELINING\r\n250 8BITMIME\r\n")
		case bytes.HasPrefix(line, []byte("DATA")):
			data = true
			w.WriteString("354 go\r\n")
		default:
			w.WriteString("250 ok\r\n")
		}
	}
}

// oneHost is a DNS that knows one exchanger with one address.
type oneHost struct{ addr netip.Addr }

func (o oneHost) MX(context.Context, string) ([]resolver.MX, error) {
	return []resolver.MX{{Pref: 10, Host: "mx.example"}}, nil
}

func (o oneHost) Addresses(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{o.addr}, nil
}

// benchmarkDelivery sends 2 KiB messages to a sink in this process; with
// parallel deliveries each has its own connection.
func benchmarkDelivery(b *testing.B, keep bool) (*client, mail) {
	b.Helper()
	l := sink(b)
	set := &settings{helo: "me.example", connectTimeout: time.Second, remoteTimeout: time.Second, dns: oneHost{netip.MustParseAddr("192.0.2.1")}}
	c := &client{
		clock:    clock.Real(),
		settings: func() (*settings, error) { return set, nil },
		own:      &ownAddresses{list: func() ([]netip.Addr, error) { return nil, nil }, clock: clock.Real()},
		dial: func(ctx context.Context, _ netip.Addr, _ netip.AddrPort) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
		},
		down:    newDownHosts(clock.Real(), nil),
		pool:    newPool(clock.Real(), 0),
		headers: make(chan struct{}, headersAtOnce),
	}
	if !keep {
		c.pool.close() // from now on every connection is ended
	}
	b.Cleanup(c.pool.close)
	return c, mail{sender: addr(b, "s@x.example"), recipients: recipients(b, "r@d.example")}
}

func deliverOne(b *testing.B, c *client, m mail, f *os.File) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		b.Fatal(err)
	}
	var err error
	if m.body, err = openBody(f); err != nil {
		b.Fatal(err)
	}
	if o, err := c.deliver(context.Background(), "d.example", m); err != nil || o.message.class != accepted {
		b.Fatalf("%v %v", o, err)
	}
}

func benchMessage(b *testing.B) *os.File {
	return messageFile(b, "Subject: x\n\n"+strings.Repeat("A line of text as long as lines of mail usually are, or so.\n", 34))
}

func BenchmarkReusedConnection(b *testing.B) {
	c, m := benchmarkDelivery(b, true)
	f := benchMessage(b)
	for b.Loop() {
		deliverOne(b, c, m, f)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkNewConnections(b *testing.B) {
	c, m := benchmarkDelivery(b, false)
	f := benchMessage(b)
	for b.Loop() {
		deliverOne(b, c, m, f)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkManyConnections(b *testing.B) {
	c, m := benchmarkDelivery(b, true)
	b.SetParallelism(10)
	b.RunParallel(func(p *testing.PB) {
		f := benchMessage(b)
		for p.Next() {
			deliverOne(b, c, m, f)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// BenchmarkDelivery signs each message, or not, over one connection.
func BenchmarkDelivery(b *testing.B) {
	header := "Received: (qmail 1 invoked by uid 1000); now\n" + strings.Repeat("X-Field: what programs write into headers, or so\n", 20) +
		"From: s@x.example\nTo: r@d.example\nSubject: x\n\n"
	line := "A line of text as long as lines of mail usually are, or so.\n"
	for _, size := range []struct {
		name  string
		lines int
	}{{"4KiB", 50}, {"64KiB", 1100}} {
		text := header + strings.Repeat(line, size.lines)
		for _, signs := range []bool{false, true} {
			name := "plain/" + size.name
			if signs {
				name = "sign/" + size.name
			}
			b.Run(name, func(b *testing.B) { benchmarkSigning(b, text, signs) })
		}
	}
}

func benchmarkSigning(b *testing.B, text string, signs bool) {
	c, m := benchmarkDelivery(b, true)
	m.facts.Origin = esmtp.FromHere
	if signs {
		set, _ := c.settings()
		table, err := dkimsign.Parse([]string{"x.example e1 e.pem"})
		if err != nil {
			b.Fatal(err)
		}
		set.dkim, c.signer = table, newSigner(c.clock)
		newKeeper(b).serve(b, c.signer)
	}
	f := messageFile(b, text)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m.id = queuedir.ID{byte(i), byte(i >> 8), byte(i >> 16)} // each is signed
		deliverOne(b, c, m, f)
	}
}
