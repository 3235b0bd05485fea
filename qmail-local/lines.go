package qmaillocal

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"postrider/internal/address"
	"postrider/internal/dotqmail"
	"postrider/internal/fate"
	"postrider/internal/maildate"
)

// lines are what a delivery puts before the message (spec section 4.4), each
// with its LF.
type lines struct {
	deliveredTo, returnPath, from string
}

func linesFor(o operands, now time.Time) lines {
	return lines{
		deliveredTo: "Delivered-To: " + strings.ReplaceAll(o.local+"@"+o.domain, "\n", "_") + "\n",
		returnPath:  "Return-Path: <" + address.Quote(o.sender) + ">\n",
		from:        "From " + fromSender(o.sender) + " " + maildate.FromLine(now) + "\n",
	}
}

var fromBlanks = strings.NewReplacer(" ", "-", "\t", "-", "\n", "-")

func fromSender(sender string) string {
	if sender == "" {
		return "MAILER-DAEMON"
	}
	return fromBlanks.Replace(sender)
}

// newSender returns the sender of forwards: the owner, if a file names one
// for this address, or a table of aliases has one, so that bounces of a list go
// to him.
func (d *delivery) newSender(aliasOwner string) (string, error) {
	if d.sender == "" || d.sender == "#@[]" {
		return d.sender, nil
	}
	if aliasOwner != "" {
		return aliasOwner, nil
	}
	local := plainLocal(d.local)
	owner, each := dotqmail.OwnerNames(d.dash, d.ext)
	exists, err := d.exists(owner)
	if err != nil || !exists {
		return d.sender, err
	}
	exists, err = d.exists(each)
	if err != nil {
		return "", err
	}
	if exists {
		return local + "-owner-@" + d.domain + "-@[]", nil // VERP, spec section 2.3
	}
	return local + "-owner@" + d.domain, nil
}

// plainLocal is a local part without the backslash by which an alias names the
// user of its own name. The Delivered-To line has it: the mail has been here, for
// the alias.
func plainLocal(local string) string { return strings.TrimPrefix(local, `\`) }

func (d *delivery) exists(name string) (bool, error) {
	var st unix.Stat_t
	err := unix.Fstatat(d.homeDir, name, &st, 0)
	if fate.IsTemporaryErrno(err) {
		return false, temporary("stat "+name, err, "Unable to open %s: %s. (#4.3.0)", name, reason(err))
	}
	return err == nil, nil
}
