package mtasts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"postrider/internal/https"
	"postrider/internal/mtasts"
)

// fetchTime is for all of a fetch.
const fetchTime = 30 * time.Second

// fetcher fetches policies.
type fetcher struct{ web *https.Client }

// fetch returns the policy of a domain as it stands on its web server (RFC 8461
// section 3.3).
func (f *fetcher) fetch(ctx context.Context, domain string) (text string, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("User-Agent", "qmail-mtasts")
	err = f.web.Do(request, func(response *http.Response) (err error) {
		text, err = body(response)
		return err
	})
	return text, err
}

func body(response *http.Response) (string, error) {
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("its web server answers %d", response.StatusCode)
	}
	// A server where anybody may leave pages must not speak for its domain.
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), "text/plain") {
		return "", errors.New("what its web server has is no text/plain")
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, mtasts.MaxPolicy+1))
	if err != nil {
		return "", err
	}
	if len(text) > mtasts.MaxPolicy {
		return "", errors.New("what its web server has is too long")
	}
	return string(text), nil
}
