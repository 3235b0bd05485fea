package qmaillocal

import (
	"errors"
	"iter"
	"path"
	"strings"

	"postrider/internal/dotqmail"
	"postrider/internal/fate"
	"postrider/internal/maildirsize"
	"postrider/internal/vpopmail"
)

// vdelivermail is in the lines that are looked at more closely.
const vdelivermail = "/vdelivermail"

// account is the user of a domain whose mail is being delivered.
type account struct {
	box   string // the absolute name of his Maildir
	limit maildirsize.Limit
}

// asVdelivermail does what a program line would have done that runs vpopmail's
// vdelivermail, where control/vpopmail says so. The program itself runs if the
// domain has no vpasswd.cdb, and for a line in a user's own file.
func (d *delivery) asVdelivermail(i dotqmail.Instruction) (done bool, err error) {
	line := i.Text
	if d.account != nil || !strings.Contains(line, vdelivermail) {
		return false, nil
	}
	settings, _, err := d.vpopmail.Get(d.clock.Now())
	if err != nil {
		return false, temporary("read control/vpopmail", err, "Unable to read control files. (#4.3.0)")
	}
	fallback, understood := settings.Parse(line)
	if !understood {
		return false, nil
	}
	user, found, err := settings.Find(d.homeDir, d.ext)
	switch {
	case errors.Is(err, vpopmail.ErrNoDatabase):
		d.explain(d.place(vpopmail.Database), "the domain has no vpasswd.cdb: vdelivermail is run")
		return false, nil
	case err != nil:
		return false, temporary("look up "+d.ext, err, "Unable to look up the user in vpasswd.cdb: %s. (#4.3.0)", printable(err))
	case !found:
		d.explain(d.place(vpopmail.Database), "vpasswd.cdb has no such user")
		return true, d.forNobody(fallback)
	case user.Closed:
		return true, fate.Perm("2.1", "Sorry, this mailbox is closed. (#5.2.1)", "look up "+d.ext, nil)
	}
	d.explain(d.place(vpopmail.Database), "%s is a user in vpasswd.cdb, in %s", user.Name, user.Dir)
	limit, err := user.Limit()
	if err != nil {
		return false, fate.Temp("3.5", "Uh-oh: the quota in vpasswd.cdb means nothing. (#4.3.5)", "quota of "+user.Name, err)
	}
	return true, d.inDirectory(user.Dir, user.Name, limit, user.Files())
}

// forNobody is the delivery of mail for an address that nobody has.
func (d *delivery) forNobody(f vpopmail.Fallback) error {
	switch f.Kind {
	case vpopmail.Delete:
		return nil
	case vpopmail.Forward:
		return d.follow(dotqmail.Instruction{Kind: dotqmail.Forward, Text: f.Text})
	case vpopmail.Directory:
		if path.Base(f.Text) == path.Clean(vpopmail.Box) { // the Maildir itself
			return d.follow(dotqmail.Instruction{Kind: dotqmail.Maildir, Text: f.Text + "/"})
		}
		var nobody vpopmail.Account
		return d.inDirectory(f.Text, d.ext, maildirsize.Limit{}, nobody.Files())
	}
	return fate.Perm("1.1", "Sorry, no mailbox here by that name. (#5.1.1)", "look up "+d.ext, nil)
}

// inDirectory delivers in the directory of a user: as the first file says that is
// there and is not empty, else into the Maildir. All names are relative to that
// directory, and mail that is left there has the Delivered-To line of the user
// himself, as vdelivermail writes it. That of the domain's address, by which loops
// are found, is for forwards.
func (d *delivery) inDirectory(dir, name string, limit maildirsize.Limit, files iter.Seq[string]) error {
	home, homeDir, deliveredTo := d.home, d.homeDir, d.lines.deliveredTo
	d.home = dir
	closeDir, err := d.openHome()
	if err == nil {
		defer closeDir()
		err = d.checkHome()
	}
	if err == nil {
		d.account = &account{box: path.Join(dir, vpopmail.Box), limit: limit}
		d.lines.deliveredTo = "Delivered-To: " + strings.ReplaceAll(name+"@"+d.domain, "\n", "_") + "\n"
		err = d.followFirst(files)
	}
	d.home, d.homeDir, d.lines.deliveredTo, d.account = home, homeDir, deliveredTo, nil
	return err
}

// followFirst follows the first file that is there, or delivers into the Maildir.
func (d *delivery) followFirst(files iter.Seq[string]) error {
	for name := range files {
		text, mode, there, err := d.dotQmail(name)
		if err != nil {
			return err
		}
		if !there {
			continue
		}
		d.explainFile(name, mode, text, nil)
		if text == "" {
			break
		}
		d.file = d.place(name).File
		for i := range dotqmail.Instructions(text, mode&forwardMode != 0) {
			if err := d.follow(i); err != nil {
				return err
			}
		}
		return nil
	}
	d.file = ""
	return d.follow(dotqmail.Instruction{Kind: dotqmail.Maildir, Text: vpopmail.Box})
}

// limitOf is the quota of a Maildir for which that is kept elsewhere.
func (d *delivery) limitOf(box string) maildirsize.Limit {
	if d.account == nil {
		return maildirsize.Limit{}
	}
	if !path.IsAbs(box) {
		box = d.home + "/" + box
	}
	if path.Clean(box) != d.account.box {
		return maildirsize.Limit{}
	}
	return d.account.limit
}
