package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	"postrider/internal/bench/load"
)

// W9 is mail for many domains, each with a host of its own: of the last fifth,
// one half takes connections and never says anything, the other one refuses
// them. They must not slow down the rest.
const (
	fanDomains = 50
	fanDead    = 10
	// fanNear is over how many domains the recipients of one message are spread.
	fanNear = 10

	fanPort     = 2530 // they take mail
	fanMutePort = 2531
	fanNoPort   = 2532 // nobody listens
)

// fanHost returns the address of a domain's host.
func fanHost(domain int) (ip string, port int) {
	ip = fmt.Sprintf("127.0.1.%d", domain+1)
	switch {
	case domain < fanDomains-fanDead:
		return ip, fanPort
	case domain%2 == 0:
		return ip, fanMutePort
	}
	return ip, fanNoPort
}

// fanRoutes is a line for each domain, of its number, address and port.
func fanRoutes(format string) []string {
	var lines []string
	for i := range fanDomains {
		ip, port := fanHost(i)
		lines = append(lines, fmt.Sprintf(format, i, ip, port))
	}
	return lines
}

// fanUsers are n recipients at the first of the domains, in turns.
func fanUsers(n, domains int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("r%d@f%d.test", i, i%domains)
	}
	return list
}

// fanOut is W9.
func (t *turn) fanOut(ctx context.Context) error {
	if !t.p.fans {
		return nil
	}
	took, err := t.fan(ctx, fanUsers(t.plan.recipients, fanNear), 1, t.plan.recipients)
	if err != nil {
		return fmt.Errorf("one message: %w", err)
	}
	t.add("W9 one", took.Seconds())
	// The same rate without the dead is what they must not take away.
	alive := fanUsers(fanDomains-fanDead, fanDomains-fanDead)
	n := t.plan.fanned * len(alive) / fanDomains
	if took, err = t.fan(ctx, alive, n, n); err != nil {
		return fmt.Errorf("none dead: %w", err)
	}
	t.add("W9 all", perSecond(n, took))
	// What goes to the dead is in the queue from the first tenth on.
	n = t.plan.fanned
	live := 0
	for i := range n {
		if i%fanDomains < fanDomains-fanDead {
			live++
		}
	}
	took, err = t.fan(ctx, fanUsers(fanDomains, fanDomains), n, live)
	if err != nil {
		return fmt.Errorf("many messages: %w", err)
	}
	t.add("W9 live", perSecond(live, took))
	return nil
}

// fan sends n messages, the first one to all recipients or each to the next one,
// and returns how long it took until so many have arrived.
func (t *turn) fan(ctx context.Context, recipients []string, n, arrive int) (time.Duration, error) {
	sink, err := t.y.load(load.Order{Do: load.Sink, Server: fmt.Sprintf("0.0.0.0:%d", fanPort), Messages: arrive})
	if err != nil {
		return 0, err
	}
	defer sink.end(ctx)
	mute, err := t.y.load(load.Order{Do: load.Mute, Server: fmt.Sprintf("0.0.0.0:%d", fanMutePort)})
	if err != nil {
		return 0, err
	}
	defer mute.end(ctx)
	for _, l := range []*loader{sink, mute} {
		if _, err := l.answer(ctx); err != nil {
			return 0, err
		}
	}
	each, sessions := 1, t.p.sessions
	if n == 1 {
		each, sessions = len(recipients), 1
	}
	sent, err := t.y.loadOnce(ctx, load.Order{
		Do: load.Send, Server: server, Messages: n, Sessions: sessions, Size: smallSize, Recipients: recipients, Each: each,
	})
	if err != nil {
		return 0, err
	}
	if sent.Failed > 0 {
		return 0, fmt.Errorf("%d of %d messages were refused: %s", sent.Failed, n, sent.Error)
	}
	last, err := sink.answer(ctx)
	return last.Ended.Sub(sent.Began), err
}

// fanTransports are the routes as Postfix has them.
func fanTransports() string {
	return strings.Join(fanRoutes("{ f%d.test = smtp:[%s]:%d }"), ", ")
}
