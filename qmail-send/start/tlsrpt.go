package start

import "postrider/internal/wire/parent"

// addTLSReports adds qmail-tlsrpt, where reports are to be sent, and who speaks
// with web servers for it; nil: they are not. It is told of sessions until the
// last delivery.
func (p *plan) addTLSReports(set settings, spool *member) *member {
	if !set.reportsTLS {
		return nil
	}
	m := p.add("qmail-tlsrpt", "", stopSpool)
	p.join(m, parent.Submit, spool, parent.SubmitTLSRPT)
	p.join(m, parent.TLSPost, p.add("qmail-tlspost", "", stopSpool), parent.TLSPostTLSRPT)
	return m
}
