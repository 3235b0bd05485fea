package qmaillocal

import (
	"slices"
	"strings"

	"postrider/internal/accounts"
	"postrider/internal/aliases"
	"postrider/internal/dotqmail"
	"postrider/internal/fate"
	"postrider/internal/wire/steps"
)

// noAliases is the failure of a table that cannot be followed. The administrator
// has to mend it, so it says why.
func noAliases(err error) string {
	return "Trouble with the tables of aliases: " + printable(err) + ". (#4.3.5)"
}

// nowhere is a file for mail that is to be thrown away.
const nowhere = "/dev/null"

// alias finds what the tables in control/aliases say of the address. They are
// asked for the mail of the account alias alone, which qmail-lspawn has found by
// the same tables: a user's own files cannot lead here.
func (d *delivery) alias() (found instructions, isAlias bool, err error) {
	if d.user != accounts.AliasUser || d.dash != "-" || d.ext != d.local {
		return instructions{}, false, nil
	}
	expansion, isAlias, err := d.aliases.Expand(d.local, d.domain)
	if err != nil {
		return instructions{}, false, fate.Temp("3.5", noAliases(err), "expand alias", err)
	}
	if !isAlias {
		return instructions{}, false, nil
	}
	d.explainAlias()
	var all []dotqmail.Instruction
	for _, t := range expansion.Targets {
		if i, does := d.instruction(t); does {
			all = append(all, i)
		}
	}
	return instructions{all: slices.Values(all), owner: expansion.Owner}, true, nil
}

// instruction is what a .qmail file would say for a target, if anything.
func (d *delivery) instruction(t aliases.Target) (i dotqmail.Instruction, does bool) {
	switch t.Kind {
	case aliases.Program:
		return dotqmail.Instruction{Kind: dotqmail.Program, Text: d.behindLines(t.Text)}, true
	case aliases.Bare:
		return dotqmail.Instruction{Kind: dotqmail.Program, Text: t.Text}, true
	case aliases.File:
		kind := dotqmail.Mbox
		if strings.HasSuffix(t.Text, "/") {
			kind = dotqmail.Maildir
		}
		return dotqmail.Instruction{Kind: kind, Text: t.Text}, t.Text != nowhere
	case aliases.Escaped:
		isAlias, _, err := d.aliases.Look(t.Text)
		switch {
		case err != nil:
			return dotqmail.Instruction{Kind: dotqmail.Refusal, Text: noAliases(err)}, true
		case isAlias:
			t.Text = `\` + t.Text
		}
	}
	return dotqmail.Instruction{Kind: dotqmail.Forward, Text: t.Text}, true
}

// behindLines is a program line with the lines From, Return-Path and Delivered-To
// in front of the message, as programs in such files expect.
func (d *delivery) behindLines(line string) string {
	return d.qmail + "/bin/preline " + shell + " -c '" + strings.ReplaceAll(line, "'", `'\''`) + "'"
}

// explainAlias says which table has the alias.
func (d *delivery) explainAlias() {
	if d.answer == nil && d.notes == nil {
		return
	}
	table, line := d.aliases.Where(d.local)
	d.file = table
	d.explain(steps.Place{File: table, Line: line}, "%s is an alias", d.local)
}
