// Package rewriting is what qmail-start tells qmail-send and qmail-lookup of the
// rewriting of senders (internal/srs), in one frame of their control channel.
//
// Imported by those three. qmail-start runs as root, so this links nothing that
// computes with the secrets; who reads them believes qmail-start, and checks the
// form all the same.
//
// The form is text: a line of the uids as whom mail of the network is submitted,
// which is not forwarded; a line with the domain; a line for each secret, the
// first of which counts, the others being older ones.
package rewriting

import (
	"errors"
	"strconv"
	"strings"
)

// Settings are what is told.
type Settings struct {
	Network []uint32
	Domain  string
	Secrets []string
}

const (
	minSecret  = 16 // bytes
	maxSecrets = 8
)

// What is wrong with settings.
var (
	errSecret = errors.New("each line has to be a secret of 16 bytes or more, at most 8 lines")
	errDomain = errors.New("there is no domain: control/srsdomain and control/me are missing")
	errUID    = errors.New("the settings of SRS have an odd uid")
)

// Secrets reads control/srssecret.
func Secrets(text string) (secrets []string, err error) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if len(line) < minSecret || len(secrets) == maxSecrets {
			return nil, errSecret
		}
		secrets = append(secrets, line)
	}
	if len(secrets) == 0 {
		return nil, errSecret
	}
	return secrets, nil
}

// Append appends the settings, if they are complete.
func (s Settings) Append(b []byte) ([]byte, error) {
	if s.Domain == "" {
		return b, errDomain
	}
	for i, uid := range s.Network {
		if i > 0 {
			b = append(b, ' ')
		}
		b = strconv.AppendUint(b, uint64(uid), 10)
	}
	return append(b, "\n"+s.Domain+"\n"+strings.Join(s.Secrets, "\n")...), nil
}

// Parse reads what Append made.
func Parse(b []byte) (s Settings, err error) {
	uids, rest, _ := strings.Cut(string(b), "\n")
	domain, secrets, _ := strings.Cut(rest, "\n")
	for _, word := range strings.Fields(uids) {
		uid, err := strconv.ParseUint(word, 10, 32)
		if err != nil {
			return Settings{}, errUID
		}
		s.Network = append(s.Network, uint32(uid))
	}
	if s.Domain = domain; domain == "" {
		return Settings{}, errDomain
	}
	s.Secrets, err = Secrets(secrets)
	return s, err
}
