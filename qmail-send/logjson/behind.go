package logjson

import (
	"os"

	"postrider/internal/world"
)

// program is the logger that gets the objects.
type program struct {
	in      *os.File // its standard input
	process *os.Process
}

// start starts the program that the arguments name.
func start(w world.World) (*program, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	process, err := os.StartProcess(w.Args[1], w.Args[1:], &os.ProcAttr{Env: w.Environ, Files: []*os.File{read, w.Stdout, w.Stderr}})
	_ = read.Close() // the program's own end is another descriptor
	if err != nil {
		_ = write.Close() // nothing was written
		return nil, err
	}
	return &program{write, process}, nil
}

// wait lets the program read to its end, and returns its exit code.
func (p *program) wait() int {
	_ = p.in.Close() // a pipe: what was written is there
	state, err := p.process.Wait()
	if err != nil || !state.Exited() {
		return exitBad
	}
	return state.ExitCode()
}
