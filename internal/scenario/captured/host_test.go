package captured

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"postrider/internal/ledger"
	"postrider/internal/testhost"
)

const (
	domain = "mx1.example"
	next   = "far.example"
	sender = "sender@" + domain
	// soon is how long something is waited for that takes a moment on an idle
	// machine.
	soon = 120 * time.Second
	// memoryBound is what no daemon may ever have had (R42, T9), jobsBound what one
	// may that holds as many jobs as a captured qmail-send gives out: 4096.
	memoryBound = 20 << 20
	jobsBound   = 128 << 20
)

// drill is a host, one of whose programs is captured.
type drill struct {
	*testhost.Host
	t       *testing.T
	program string
	book    *ledger.Ledger
	far     *testhost.Sink
	sent    int
	acked   map[string]int // by how it was sent
}

// newDrill is a host on which every daemon of the table runs that can run beside
// the others, with mail delivered to everywhere.
func newDrill(t *testing.T, program string) *drill {
	t.Helper()
	testhost.NeedUsers(t)
	net := testhost.NewNetwork(t)
	h := net.Host(domain)
	h.Install()
	h.AddUsers("alice", "bob", "sender", "mallory")
	h.GiveKey()
	h.GivePassword("scram", "joe", "secret")
	for name, value := range map[string]string{
		"rcpthosts": domain + "\n" + next, "spfbehavior": "1", "greylist": "0", "mtasts": "1", "tlsremember": "1", "tlsrpt": "postmaster@" + domain,
		"concurrencyfilter": "20", "nssprobe": "root", "vpopmailuser": "qmailp", "metricslisten": ":9925", "qmtplisten": ":209", "qmqplisten": ":628",
	} {
		h.Control(name, strings.Split(value, "\n")...)
	}
	book, err := ledger.New(t.TempDir() + "/ledger")
	if err != nil {
		t.Fatal(err)
	}
	d := &drill{Host: h, t: t, program: program, book: book, far: net.Host(next).Sink(":25", nil), acked: make(map[string]int)}
	h.WriteFile(planFile, "", 0o666)
	h.StartSuite()
	for _, to := range []string{"alice@" + domain, "bob@" + domain, "a@" + next} {
		d.bySMTP(to)
		d.bySendmail(to)
	}
	d.settled()
	return d
}

// compose makes the next message of the ledger.
func (d *drill) compose(via, to string) (in ledger.Intent, text string) {
	d.sent++
	id := fmt.Sprintf("%s-%d", via, d.sent)
	text, hash := ledger.Compose(id, sender, to, []int{400, 30_000, 90_000}[d.sent%3])
	in = ledger.Intent{ID: id, Via: via, Sender: sender, Recipients: []string{to}, Hash: hash}
	d.book.Intend(in)
	return in, text
}

// bySendmail sends as a user; it must be taken whoever is captured.
func (d *drill) bySendmail(to string) {
	d.t.Helper()
	in, text := d.compose("sendmail", to)
	r, err := d.Run(testhost.Within(d.t, soon), testhost.Command{Argv: []string{"/usr/sbin/sendmail", "-f", sender, to}, User: "sender", Stdin: text})
	if err != nil || r.Code != 0 {
		d.t.Errorf("sendmail does not work: %v, %v\nlog:\n%s", r, err, d.lastLog())
		d.book.Unknown(in.ID)
		return
	}
	d.acked[in.Via]++
	d.book.Ack(in.ID)
}

// bySMTP sends over the network. That may be refused while somebody whom
// qmail-smtpd asks is captured.
func (d *drill) bySMTP(to string) {
	d.t.Helper()
	in, text := d.compose("smtp", to)
	ctx, cancel := context.WithTimeout(d.t.Context(), soon)
	defer cancel()
	c, err := d.SMTP(ctx, d.IP.String()+":25")
	if err == nil {
		err = c.Send(sender, in.Recipients, text)
		c.Close()
	}
	var reply *testhost.Reply
	switch {
	case err == nil:
		d.acked[in.Via]++
		d.book.Ack(in.ID)
	case errors.As(err, &reply):
		d.book.Nack(in.ID, reply.Code)
	default:
		d.book.Unknown(in.ID)
	}
}

// settled waits until the queue is empty. What waits is made due now.
func (d *drill) settled() {
	d.t.Helper()
	ctx := testhost.Within(d.t, soon)
	for d.WaitForEmptyQueue(testhost.Within(d.t, time.Second)) != nil {
		if ctx.Err() != nil {
			d.t.Fatalf("the queue holds %v\nlog:\n%s", d.Queue(), d.lastLog())
		}
		if err := d.Suite().Signal(syscall.SIGALRM); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *drill) lastLog() string {
	var lines []string
	for _, line := range d.Log().Lines(0) {
		if !strings.HasPrefix(line.Text, "captured: nonsense") {
			lines = append(lines, line.When.Format("05.000 ")+line.Text)
		}
	}
	return strings.Join(lines[max(0, len(lines)-150):], "\n")
}

// others are the daemons that nobody captured, by name and number.
func (d *drill) others() (list []string) {
	d.t.Helper()
	for _, p := range d.Daemons() {
		isDaemon := strings.HasPrefix(p.Name, "qmail-") && !strings.HasPrefix(p.Name, "qmail-local") && p.Name != "qmail-queue"
		// Of two remote workers one is captured.
		if isDaemon && (p.Name != d.program || p.Name == "qmail-remote") {
			list = append(list, p.Name+" "+strconv.Itoa(p.PID))
		}
	}
	slices.Sort(list)
	return list
}

// worst returns which of the processes has had the most memory.
func (d *drill) worst(processes []string) (name string, most int64) {
	d.t.Helper()
	for _, p := range processes {
		program, pid, _ := strings.Cut(p, " ")
		status, err := os.ReadFile(d.Path("/proc/" + pid + "/status"))
		if err != nil {
			continue // that it is gone is told elsewhere
		}
		_, rest, _ := strings.Cut(string(status), "\nVmHWM:")
		field, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
		kilobytes, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			d.t.Fatalf("%s: no peak of memory in %q", p, status)
		}
		bound := int64(memoryBound)
		if d.program == "qmail-send" && (program == "qmail-lspawn" || program == "qmail-remote") {
			bound = jobsBound
		}
		if kilobytes<<10 > bound {
			d.t.Errorf("%s had %d kB", p, kilobytes)
		}
		if kilobytes<<10 > most {
			name, most = program, kilobytes<<10
		}
	}
	return name, most
}

// judge holds the ledger against mailboxes, the next host and the queue. There
// was no fault, so each message is there once.
func (d *drill) judge(outside func(recipient string) bool) {
	d.t.Helper()
	var e ledger.Evidence
	for _, user := range []string{"alice", "bob", "sender"} {
		for _, m := range d.Maildir(user).Messages() {
			e.Deliveries = append(e.Deliveries, ledger.Delivery{
				Place: m.File, Recipient: user + "@" + domain, Sender: strings.Trim(m.Header("Return-Path"), "<>"), Text: m.Text,
			})
		}
	}
	for _, a := range d.far.Accepted() {
		for _, to := range a.Recipients {
			e.Deliveries = append(e.Deliveries, ledger.Delivery{Place: next, Recipient: to, Sender: a.Sender, Text: a.Text, When: a.When})
		}
	}
	e.Leftovers = d.QueueFiles()
	violations, summary := d.book.Check(e)
	d.t.Log(summary)
	for _, v := range violations {
		if outside(v.Recipient) {
			d.t.Error(v)
		}
	}
	if err := d.book.Close(); err != nil {
		d.t.Error(err)
	}
}
