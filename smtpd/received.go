package smtpd

import (
	"time"

	"postrider/internal/header"
)

// appendReceived appends the Received line.
func (s *session) appendReceived(b []byte, now time.Time) []byte {
	line := header.Received{
		Host: s.peer.host, Helo: s.heloName, HasHelo: s.greeted,
		IP: s.peer.ip, Info: s.peer.info, HasInfo: s.peer.hasInfo,
		By: s.peer.local, Protocol: s.protocol(),
	}
	return line.Append(b, now)
}
