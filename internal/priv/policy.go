package priv

import (
	"fmt"
	"path/filepath"

	"postrider/internal/control"
	"postrider/internal/sandbox"
)

// Policy is what the administrator says about the sandbox.
type Policy struct {
	// Off leaves Landlock and the filters of system calls away.
	Off bool
	// SetuidPrograms lets programs in .qmail files gain the rights of setuid
	// and setgid programs.
	SetuidPrograms bool
}

// Policy reads control/sandbox and control/setuidprograms. It is an error if
// the first requires what this kernel does not have.
func (in Installation) Policy() (Policy, error) {
	dir := control.Dir(filepath.Join(in.Home, "control"))
	mode, err := dir.Line("sandbox", "on")
	if err != nil {
		return Policy{}, err
	}
	setuid, err := dir.Int("setuidprograms", 0)
	if err != nil {
		return Policy{}, err
	}
	p := Policy{Off: mode == "off", SetuidPrograms: setuid != 0}
	switch mode {
	case "on", "off":
	case "require":
		if missing := sandbox.Missing(); len(missing) > 0 {
			return p, fmt.Errorf("%s/sandbox requires what this kernel does not have: %s", dir, missing[0])
		}
	default:
		return p, fmt.Errorf("%s/sandbox: %q is not on, off or require", dir, mode)
	}
	return p, nil
}

// Warning says in one line what does not hold on this machine under p; it is
// empty if all does.
func (p Policy) Warning() string {
	switch missing := sandbox.Missing(); {
	case p.Off:
		return "control/sandbox is off: a daemon that is taken over is held by its user and its capabilities only"
	case len(missing) == 2:
		return "this kernel has " + missing[0] + "; " + missing[1]
	case len(missing) == 1:
		return "this kernel has " + missing[0]
	}
	return ""
}
