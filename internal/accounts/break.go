package accounts

import (
	"fmt"

	"postrider/internal/control"
)

// maxBreak is how many break characters there may be.
const maxBreak = 8

// Break returns the characters that may be between a user and an extension:
// control/break, or the dash that qmail is compiled with.
func Break(dir control.Dir) (string, error) {
	breaks, err := dir.Line("break", DefaultBreak)
	if err != nil {
		return "", err
	}
	if len(breaks) == 0 || len(breaks) > maxBreak {
		return "", fmt.Errorf("%s/break: 1 to %d characters are needed, as -+", dir, maxBreak)
	}
	for i := range len(breaks) {
		if !mayBreak(breaks[i]) {
			return "", fmt.Errorf("%s/break: %q cannot be between a user and an extension", dir, breaks[i])
		}
	}
	return breaks, nil
}

// HasBreak tells whether s has a character, but for the dash, that could be one.
func HasBreak(s string) bool {
	for i := range len(s) {
		if s[i] != '-' && mayBreak(s[i]) {
			return true
		}
	}
	return false
}

// mayBreak takes the marks that an address has without quotes, but for those
// that are in names of users or mean something in front of a local part.
func mayBreak(c byte) bool {
	switch c {
	case '-', '+', '=', '_', '#', '!', '%', '&', '*', '^', '~', '?':
		return true
	}
	return false
}
