package control

import "strconv"

// Fault is something that is wrong in a file.
type Fault struct {
	Path string
	Line int // from 1; 0: the file as a whole
	// Problem says what; of a file with secrets, without the line.
	Problem string
}

func (f Fault) Error() string {
	if f.Line == 0 {
		return f.Path + ": " + f.Problem
	}
	return f.Path + ", line " + strconv.Itoa(f.Line) + ": " + f.Problem
}

// Faults is the error of a file with lines that are wrong: at least one, in
// their order. As a text it is the first one, and how many there are.
type Faults []Fault

// maxFaults is how many lines of a file are told.
const maxFaults = 50

func (f Faults) Error() string {
	text := f[0].Error()
	switch more := len(f) - 1; {
	case more == 1:
		text += " (and in one more line)"
	case more > 1:
		text += " (and in " + strconv.Itoa(more) + " more lines)"
	}
	return text
}

// Each calls use with each line of a list (List). All lines that use refuses are
// in the error, which is of the type Faults: then nothing of what it took counts.
func (d Dir) Each(name string, use func(line string) error) (present bool, err error) {
	lines, present, err := d.Lines(name)
	if err != nil || !present {
		return false, err
	}
	var faults Faults
	for _, line := range lines {
		if err := use(line.Text); err != nil && len(faults) < maxFaults {
			faults = append(faults, Fault{d.path(name), line.Number, err.Error()})
		}
	}
	if len(faults) > 0 {
		return false, faults
	}
	return true, nil
}
