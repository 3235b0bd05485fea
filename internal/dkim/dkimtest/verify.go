// Package dkimtest verifies signatures of DKIM (RFC 6376) for tests, by code that
// has nothing in common with internal/dkim.
package dkimtest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Reference is the canonical form as the RFC has it in words, of a message with
// LF line ends: by regular expressions and all of it in memory.
func Reference(message string) (fields []string, body string) {
	head, body, _ := strings.Cut("\n"+message, "\n\n")
	if strings.HasPrefix(message, "\n") {
		head, body = "", message[1:]
	}
	head = strings.TrimPrefix(head, "\n")
	head = regexp.MustCompile(`\n([ \t])`).ReplaceAllString(head, "$1")
	for _, field := range strings.Split(strings.TrimSuffix(head, "\n"), "\n") {
		name, value, _ := strings.Cut(field, ":")
		value = regexp.MustCompile(`[ \t]+`).ReplaceAllString(value, " ")
		fields = append(fields, lower(strings.TrimRight(name, " \t"))+":"+strings.Trim(value, " "))
	}
	body = regexp.MustCompile(`[ \t]+`).ReplaceAllString(body, " ")
	body = strings.ReplaceAll(body+"\n", " \n", "\n")
	body = strings.TrimRight(body, "\n")
	if body != "" {
		body = strings.ReplaceAll(body+"\n", "\n", "\r\n")
	}
	return fields, body
}

// Verify verifies the first signature of a message, with LF line ends, by the
// reference. It knows what Sign writes and the examples of RFC 8463.
func Verify(message string, public crypto.PublicKey) error {
	field, rest, _ := strings.Cut(message, "\n")
	for strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, "\t") {
		line, after, _ := strings.Cut(rest, "\n")
		field, rest = field+"\n"+line, after
	}
	tags := make(map[string]string)
	_, list, _ := strings.Cut(field, ":")
	for _, tag := range strings.Split(list, ";") {
		name, value, _ := strings.Cut(tag, "=")
		tags[strings.TrimSpace(name)] = strings.Join(strings.Fields(value), "")
	}
	fields, body := Reference(rest)
	bodyHash := sha256.Sum256([]byte(body))
	if base64.StdEncoding.EncodeToString(bodyHash[:]) != tags["bh"] {
		return errors.New("the body is another one")
	}
	var signed strings.Builder
	left := slices.Clone(fields)
	for _, name := range strings.Split(tags["h"], ":") {
		for i := len(left) - 1; i >= 0; i-- {
			if strings.HasPrefix(left[i], lower(name)+":") {
				signed.WriteString(left[i] + "\r\n")
				left = slices.Delete(left, i, i+1)
				break
			}
		}
	}
	open := regexp.MustCompile(`(?s)([;\s]b=)[^;]*`).ReplaceAllString(field, "$1")
	own, _ := Reference(open + "\n\n")
	signed.WriteString(own[0])
	digest := sha256.Sum256([]byte(signed.String()))
	signature, err := base64.StdEncoding.DecodeString(tags["b"])
	switch {
	case err != nil:
		return err
	case tags["v"] != "1" || tags["c"] != "relaxed/relaxed" || !strings.HasSuffix(tags["a"], "-sha256"):
		return fmt.Errorf("tags %v", tags)
	case !valid(public, digest[:], signature):
		return errors.New("the header is another one")
	}
	return nil
}

func valid(public crypto.PublicKey, digest, signature []byte) bool {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, signature) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(public, digest, signature)
	}
	return false
}

// lower changes ASCII letters only.
func lower(s string) string {
	b := []byte(s) // not runes: those of bytes that are no UTF-8 are other bytes
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}
