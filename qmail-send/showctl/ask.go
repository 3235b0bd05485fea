package showctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"postrider/internal/priv"
	"postrider/internal/resolver"
	"postrider/internal/world"
)

// Name servers are asked by a process of its own, which has no files, no rights
// and no memory of keys: what they answer is hostile.

const (
	// askOption makes this program that process.
	askOption = "--ask-name-servers"
	// askTime is how long all questions together may take.
	askTime = 10 * time.Second
	// atOnce is how many are asked at a time.
	atOnce     = 16
	maxAnswers = 1 << 20 // bytes
	maxValues  = 50      // of an answer
	// nobody asks where the user for that is missing.
	nobody = 65534
)

// question is one to name servers.
type question struct {
	Kind string // addresses, mx, txt or names
	Name string
}

// reply is what they say.
type reply struct {
	Values []string `json:",omitempty"`
	// None says that they say so: there is no such name, or no such record.
	None bool `json:",omitempty"`
	// Fault is why nothing is known.
	Fault string `json:",omitempty"`
}

// asks tells the process that asks.
func asks(w world.World) bool { return len(w.Args) == 2 && w.Args[1] == askOption }

// answer reads questions and writes what name servers say.
func answer(w world.World) int {
	var questions []question
	if err := json.NewDecoder(w.Stdin).Decode(&questions); err != nil {
		return exitUsage
	}
	config, err := resolver.ReadConfig(resolver.SystemConfig)
	if err != nil {
		return exitTemporary
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	r := resolver.New(config, w.Clock)
	replies := make([]reply, len(questions))
	places := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for n, q := range questions {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			replies[n] = ask(ctx, r, q)
		})
	}
	all.Wait()
	if err := json.NewEncoder(w.Stdout).Encode(replies); err != nil {
		return exitTemporary
	}
	return exitClean
}

func ask(ctx context.Context, r *resolver.Resolver, q question) (said reply) {
	var err error
	switch q.Kind {
	case "addresses":
		var found []netip.Addr
		found, err = r.Addresses(ctx, q.Name)
		for _, a := range found {
			said.Values = append(said.Values, a.String())
		}
	case "mx":
		var found []resolver.MX
		found, err = r.MX(ctx, q.Name)
		for _, mx := range found {
			said.Values = append(said.Values, mx.Host)
		}
	case "txt":
		said.Values, err = r.TXT(ctx, q.Name)
	case "names":
		var address netip.Addr
		if address, err = netip.ParseAddr(q.Name); err == nil {
			said.Values, err = r.Names(ctx, address)
		}
	}
	said.Values = said.Values[:min(len(said.Values), maxValues)]
	switch {
	case resolver.IsAnswer(err):
		said.None = true
	case err != nil:
		said.Fault = err.Error()
	}
	return said
}

// look has questions asked, and returns the replies in their order.
func (i *inspector) look(questions []question) ([]reply, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(questions)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), askTime+time.Second)
	defer cancel()
	child := exec.CommandContext(ctx, "/proc/self/exe", askOption)
	child.Stdin, child.Dir, child.Env = bytes.NewReader(text), "/", []string{}
	if i.root {
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if role, known := priv.RoleOf("qmail-policy"); known {
			if id, err := role.Identity(); err == nil {
				child.SysProcAttr.Credential.Uid, child.SysProcAttr.Credential.Gid = id.UID, id.GID
			}
		}
	}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("unable to start the process that asks: %w", err)
	}
	said, readErr := io.ReadAll(io.LimitReader(out, maxAnswers))
	err = errors.Join(readErr, child.Wait())
	var replies []reply
	if err == nil {
		err = json.Unmarshal(said, &replies)
	}
	if err == nil && len(replies) != len(questions) {
		err = errors.New("some answers are missing")
	}
	return replies, err
}
