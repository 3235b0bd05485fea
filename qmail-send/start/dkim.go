package start

import (
	"fmt"
	"path/filepath"

	"postrider/internal/control"
	"postrider/internal/dkimsign"
	"postrider/internal/wire/parent"
)

// openDKIM returns the frames that hand over the keys which control/dkimsign
// names. A qmail-tlskey of its own has them: who can have messages signed cannot
// pose as this host in TLS.
func (k keyFiles) openDKIM() (frames []parent.Frame, err error) {
	table, err := dkimsign.Read(control.Dir(k.control))
	if err != nil {
		return nil, err
	}
	names := table.Keys()
	if len(names) > maxKeys {
		return nil, fmt.Errorf("%s/dkimsign: it names more than %d keys", k.control, maxKeys)
	}
	for _, name := range names {
		f, err := k.openOne(filepath.Join(dkimsign.KeyDir, name))
		if err != nil {
			closeKeys(frames)
			return nil, err
		}
		frames = append(frames, parent.Frame{Kind: parent.Key, Name: parent.DKIMKey + name, File: f})
	}
	return append(frames, parent.Frame{Kind: parent.KeysComplete}), nil
}

// readDKIM opens the keys, if messages are to be signed.
func (set *settings) readDKIM(files keyFiles) error {
	frames, err := files.openDKIM()
	if err != nil || len(frames) == 1 {
		return err
	}
	set.dkimKeys, set.openDKIMKeys = frames, files.openDKIM
	return nil
}

// addDKIM adds who has the keys to the plan, or nobody.
func (p *plan) addDKIM(set settings) *member {
	if len(set.dkimKeys) == 0 {
		return nil
	}
	m := p.add("qmail-tlskey", " dkim", stopSpool) // asked until the last delivery
	m.gifts, m.renew = set.dkimKeys, set.openDKIMKeys
	return m
}
