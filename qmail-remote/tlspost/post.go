package tlspost

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"postrider/internal/https"
	wire "postrider/internal/wire/tlspost"
)

// postTime is for all of a report.
const postTime = 30 * time.Second

// poster sends reports.
type poster struct{ web *https.Client }

// post sends a report (RFC 8460 section 5.4). What a server says decides whether it
// is sent again: a redirect is not followed, since only the record in the DNS says
// who wants it.
func (p *poster) post(url string, report []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), postTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(report))
	if err != nil {
		return &wire.Refused{Text: "it cannot be sent there"}
	}
	request.Header.Set("User-Agent", "qmail-tlspost")
	request.Header.Set("Content-Type", "application/tlsrpt+gzip")
	return p.web.Do(request, func(response *http.Response) error { return verdict(response.StatusCode) })
}

// verdict is what a status means for the report (RFC 9110 section 15).
func verdict(status int) error {
	switch {
	case status/100 == 2:
		return nil
	case status/100 == 5, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status == http.StatusTooEarly:
		return fmt.Errorf("its web server answers %d", status)
	}
	return &wire.Refused{Text: fmt.Sprintf("its web server answers %d", status)}
}
