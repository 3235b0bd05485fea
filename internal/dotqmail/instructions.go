package dotqmail

import (
	"iter"
	"strings"
)

// Kind is what an instruction does.
type Kind int

// The kinds of instructions.
const (
	Program Kind = iota // Text is for the shell
	Maildir             // Text is its path, with the slash at the end
	Mbox                // Text is its path
	LMTP                // Text is the server, and behind blanks the recipient that it is told
	Forward             // Text is the address
	Refusal             // Text says what is wrong; temporary
)

// Instruction is one line that does something.
type Instruction struct {
	Kind Kind
	Text string
	Line int // its number; 0 if it is of no file
}

// What the user is told about his file.
const (
	blankFirst  = "Uh-oh: first line of .qmail file is blank. (#4.2.1)"
	noPrograms  = "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)"
	noFiles     = "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)"
	forwardWord = "+list"
	lmtpWord    = "+lmtp"
)

// Instructions yields what text says. With forwardOnly, which a file's x bit
// or a line "+list" sets, programs and files are refused.
func Instructions(text string, forwardOnly bool) iter.Seq[Instruction] {
	return func(yield func(Instruction) bool) {
		number := 0
		for line := range strings.SplitSeq(text, "\n") {
			if nul := strings.IndexByte(line, 0); nul >= 0 {
				line = line[:nul] // as in C, where the rest cannot be seen
			}
			line = strings.TrimRight(line, " \t")
			number++
			if number == 1 && line == "" && text != "" {
				yield(Instruction{Refusal, blankFirst, number})
				return
			}
			if line == forwardWord {
				forwardOnly = true
			}
			instruction, does := parse(line)
			if !does {
				continue
			}
			if forwardOnly {
				instruction = onlyForward(instruction)
			}
			instruction.Line = number
			if !yield(instruction) || instruction.Kind == Refusal {
				return
			}
		}
	}
}

// parse reads one line without blanks at its end.
func parse(line string) (i Instruction, does bool) {
	if line == "" {
		return i, false
	}
	switch line[0] {
	case '+':
		if rest, found := strings.CutPrefix(line, lmtpWord); found && (rest == "" || rest[0] == ' ' || rest[0] == '\t') {
			return Instruction{Kind: LMTP, Text: strings.TrimLeft(rest, " \t")}, true
		}
		return i, false
	case '#':
		return i, false
	case '|':
		return Instruction{Kind: Program, Text: line[1:]}, true
	case '/', '.':
		if strings.HasSuffix(line, "/") {
			return Instruction{Kind: Maildir, Text: line}, true
		}
		return Instruction{Kind: Mbox, Text: line}, true
	case '&':
		return Instruction{Kind: Forward, Text: line[1:]}, true
	}
	return Instruction{Kind: Forward, Text: line}, true
}

func onlyForward(i Instruction) Instruction {
	switch i.Kind {
	case Program:
		return Instruction{Kind: Refusal, Text: noPrograms}
	case Maildir, Mbox, LMTP:
		return Instruction{Kind: Refusal, Text: noFiles}
	}
	return i
}
