package mtasts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"postrider/internal/mtasts"
	"postrider/internal/responder"
	"postrider/internal/wire/steps"
	"postrider/internal/world"
)

// explain answers what policy counts for a domain (internal/wire/steps), by what is
// kept and by the record in the DNS. Nothing is fetched and nothing changes. A
// question is the domain, and "dns" or "" for whether the DNS may be asked. The act
// "policy" is the policy.
func explain(w world.World) int {
	s := newServer(w, responder.New(program, w.Clock, func(string) {}))
	err := steps.Serve(w.Stdin, w.Stdout, func(question []string) (a steps.Answer) {
		if len(question) != 2 {
			a.End(steps.Unknown, "qmail-mtasts is asked for a domain")
			return a
		}
		s.finder.explain(&a, question[0], question[1] == "dns")
		return a
	})
	if err != nil {
		return exitTemp
	}
	return exitOK
}

func (f *finder) explain(a *steps.Answer, question string, asks bool) {
	domain, ok := mtasts.Domain(question)
	if !ok {
		a.End(steps.Goes, "")
		return
	}
	kept, err := f.store.read(domain)
	known := err == nil && !kept.expired(f.clock.Now())
	at := steps.Place{File: filepath.Join(f.store.dir, domain)}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.Say("mta-sts", at, "what is kept cannot be read: %v", err)
		a.End(steps.Unknown, "")
		return
	}
	if known {
		a.Say("mta-sts", at, "the MTA-STS policy of %s has the mode %s and the exchangers %s", domain, kept.policy.Mode, strings.Join(kept.policy.MX, ", "))
		a.Do("policy", textOf(kept.policy), at)
	}
	if asks {
		f.explainRecord(a, domain, kept.id, known)
	}
	a.End(steps.Goes, "")
}

// explainRecord says what the record in the DNS makes of what is kept.
func (f *finder) explainRecord(a *steps.Answer, domain, id string, known bool) {
	announced, found, err := f.record(context.Background(), domain)
	switch {
	case err != nil:
		a.Say("mta-sts", steps.Place{}, "the record _mta-sts.%s cannot be looked up: %v", domain, err)
	case found && !known:
		a.Say("mta-sts", steps.Place{}, "%s announces an MTA-STS policy that was not fetched yet: what it asks for is not known here", domain)
	case found && announced != id:
		a.Say("mta-sts", steps.Place{}, "%s announces another MTA-STS policy, which will be fetched first", domain)
	}
}

// textOf is a policy as mtasts.Parse reads it.
func textOf(p mtasts.Policy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\nmode: %s\nmax_age: %d\n", p.Mode, int(p.MaxAge.Seconds()))
	for _, mx := range p.MX {
		fmt.Fprintf(&b, "mx: %s\n", mx)
	}
	return b.String()
}
