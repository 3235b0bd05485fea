package start

import "postrider/internal/wire/parent"

// addTLSReports adds qmail-tlsrpt, where reports are to be sent; nil: they are
// not. It is told of sessions until the last delivery.
func (p *plan) addTLSReports(set settings, spool *member) *member {
	if !set.reportsTLS {
		return nil
	}
	m := p.add("qmail-tlsrpt", "", stopSpool)
	p.join(m, parent.Submit, spool, parent.SubmitTLSRPT)
	return m
}
