package lspawn

import (
	"errors"
	"strings"

	"postrider/internal/accounts"
	"postrider/internal/wire/spawn"
)

// reply is the outcome of a delivery.
type reply struct {
	class spawn.Class
	text  string
}

// What is said for deliveries that no worker carried out (spec sections 3.1
// and 3.2), and three of our own.
var (
	noHost      = reply{spawn.Failure, "Sorry, address must include host name. (#5.1.3)\n"}
	noLocalPart = reply{spawn.Success, "The address has no local part: the message is discarded.\n"}
	asRoot      = reply{spawn.Deferral, "Not allowed to perform deliveries as root.\n"}
	asSystem    = reply{spawn.Deferral, "Not allowed to perform deliveries as this user. (#4.3.5)\n"}
	badUsersDB  = reply{spawn.Deferral, "Trouble reading users/cdb in qmail-lspawn.\n"}
	badAliases  = reply{spawn.Deferral, "Trouble reading the tables of aliases in qmail-lspawn.\n"}
	noAlias     = reply{spawn.Deferral, "Unable to find alias user!\n"}
	homeAway    = reply{spawn.Deferral, "NFS failure in qmail-local.\n"}
	lookupFails = reply{spawn.Deferral, "Temporary failure in qmail-lspawn.\n"}
	unusable    = reply{spawn.Deferral, "Internal qmail-lspawn bug.\n"}
	crashed     = reply{spawn.Deferral, "qmail-local crashed.\n"}
	notStarted  = reply{spawn.Deferral, "Unable to run qmail-local.\n"}
	tooLong     = reply{spawn.Deferral, "Delivery took too long. (#4.4.7)\n"}
	tooMany     = reply{spawn.Deferral, "Too many deliveries for this user are under way. (#4.3.2)\n"}
	noWorker    = reply{spawn.Deferral, "Too many users have deliveries under way. (#4.3.2)\n"}
	stopping    = reply{spawn.Deferral, "Deliveries are being stopped. (#4.3.0)\n"}
)

// lookupReply says what the failure of a lookup means for the delivery.
func lookupReply(err error) reply {
	switch {
	case errors.Is(err, accounts.ErrUsersDB):
		return badUsersDB
	case errors.Is(err, accounts.ErrAliases):
		return badAliases
	case errors.Is(err, accounts.ErrNoAlias):
		return noAlias
	case errors.Is(err, accounts.ErrHome):
		return homeAway
	}
	return lookupFails
}

const (
	// maxReport is the most of a worker's text that is passed on.
	maxReport   = 3000
	reportIsCut = "\nError report too long, sorry.\n"
)

// fromWorker is the reply for what a worker says: up to its first zero byte,
// and not more than maxReport.
func fromWorker(r spawn.Result) reply {
	text, _, _ := strings.Cut(r.Text, "\x00")
	if len(text) > maxReport {
		text = text[:maxReport] + reportIsCut
	}
	return reply{r.Class, text}
}
