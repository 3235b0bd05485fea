package header

import (
	"strings"
	"testing"
	"time"
)

// However long what strangers say is, the line has a bound: daemons lend it two
// kilobytes.
func TestReceivedIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	line := Received{Host: long + "1", Helo: long + "2", HasHelo: true, IP: long, Info: long, HasInfo: true, By: long,
		Protocol: "ESMTPSA (TLS1.3 TLS_AES_128_GCM_SHA256 encrypted, authenticated)"}
	if n := len(line.Append(nil, time.Now())); n < 5*maxPart || n > 1500 {
		t.Errorf("%d octets", n)
	}
}
