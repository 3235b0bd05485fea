package load

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// run does an order to its end and returns its answers.
func run(t *testing.T, o Order) []Answer {
	t.Helper()
	order, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	code := Main(bytes.NewReader(order), &out)
	var answers []Answer
	for d := json.NewDecoder(&out); d.More(); {
		var a Answer
		if err := d.Decode(&a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if last := answers[len(answers)-1]; code != 0 && last.Error == "" {
		t.Errorf("exit code %d with %+v", code, last)
	}
	return answers
}

// startSink returns the address of a sink and what it says.
func startSink(t *testing.T, recipients int) (address string, answers chan Answer) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	free.Close()
	answers = make(chan Answer, 2)
	until, stop := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- sink(Order{Server: address, Messages: recipients}, until, func(a Answer) { answers <- a })
	}()
	t.Cleanup(func() {
		stop.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if a := <-answers; a.Began.IsZero() {
		t.Fatalf("%+v", a)
	}
	return address, answers
}

func TestSendToSink(t *testing.T) {
	t.Parallel()
	address, answers := startSink(t, 30)
	a := run(t, Order{Do: Send, Server: address, Messages: 10, Sessions: 4, Size: 200_000, Recipients: strings.Fields("a@x.test b@x.test c@x.test d@x.test"), Each: 3})[0]
	if a.Count != 10 || a.Failed != 0 || !a.Ended.After(a.Began) {
		t.Errorf("sent: %+v", a)
	}
	if got := <-answers; got.Count != 30 || got.Ended.Before(a.Began) {
		t.Errorf("sink: %+v", got)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	a := run(t, Order{Do: Send, Server: "127.0.0.1:1", Messages: 2, Sessions: 1, Size: 1, Recipients: []string{"a@x.test"}})[0]
	if a.Count != 0 || a.Failed != 2 || a.Error == "" {
		t.Errorf("%+v", a)
	}
	if a := run(t, Order{Do: "nonsense"})[0]; a.Error == "" {
		t.Errorf("%+v", a)
	}
}

// TestAgain meets a server that refuses the first message for now.
func TestAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for refused := true; ; refused = false {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			if !refused {
				s := &sinkCount{want: 1, say: func(Answer) {}}
				s.serve(c)
				return
			}
			if _, err := io.WriteString(c, "451 later\r\n"); err != nil {
				t.Error(err)
			}
			c.Close()
		}
	}()
	a := run(t, Order{Do: Send, Server: l.Addr().String(), Messages: 1, Sessions: 1, Size: 1, Recipients: []string{"a@x.test"}, Again: true})[0]
	if a.Count != 1 || a.Failed != 0 {
		t.Errorf("%+v", a)
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	address, _ := startSink(t, 1)
	a := run(t, Order{Do: Hold, Server: address, Sessions: 5, Limit: time.Minute})[0]
	if a.Count != 5 || a.Failed != 0 {
		t.Errorf("%+v", a)
	}
}

// TestArrival lets somebody else put files into the mailbox.
func TestArrival(t *testing.T) {
	t.Parallel()
	address, answers := startSink(t, 1)
	dir := t.TempDir()
	go func() {
		<-answers
		if err := os.WriteFile(filepath.Join(dir, "1"), nil, 0o600); err != nil {
			t.Error(err)
		}
	}()
	a := run(t, Order{Do: Latency, Server: address, Messages: 1, Size: 1, Recipients: []string{"a@x.test"}, Dir: dir, Limit: time.Minute})[0]
	if a.Count != 1 || len(a.Millis) != 1 || a.Millis[0] <= 0 {
		t.Errorf("%+v", a)
	}
}

func TestSendmail(t *testing.T) {
	t.Parallel()
	a := run(t, Order{Do: Sendmail, Messages: 2, Size: 100, Recipients: []string{"a@x.test"}, Argv: []string{"/bin/sh", "-c", "grep -q '^To: <a@x.test>'"}})[0]
	if len(a.Millis) != 2 {
		t.Errorf("%+v", a)
	}
	if a := run(t, Order{Do: Sendmail, Messages: 1, Recipients: []string{"a"}, Argv: []string{"/bin/false"}})[0]; a.Error == "" {
		t.Errorf("%+v", a)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	a := run(t, Order{Do: Limits, Sessions: 4, Dir: t.TempDir(), Limit: 5 * time.Millisecond})[0]
	for _, name := range []string{DurableAlone, DurableMany, DurableGroup, AppendGroup, ForkExec} {
		if a.Rates[name] <= 0 {
			t.Errorf("%s: %v", name, a.Rates)
		}
	}
}
