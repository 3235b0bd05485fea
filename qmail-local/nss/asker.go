package nss

import (
	"errors"
	"sync"

	"postrider/internal/accounts"
	"postrider/internal/getent"
)

// runs is how many processes there are at a time for names.
const runs = 8

// asker has names looked up by few runs of getent. A name is asked for at once
// while there is room for a run; those that wait for one share it, so that the
// names that very many users have cost little more than the server's answers.
type asker struct {
	lookup func(names []string) []getent.Answer // of up to getent.MaxNames
	warn   func(error)

	mu      sync.Mutex
	waiting []question
	running int
}

type question struct {
	name   string
	answer chan getent.Answer // has room for it
}

// ask returns the account called name. Its errors are those of getent.
func (a *asker) ask(name string) (accounts.Account, error) {
	if !getent.IsName(name) {
		return accounts.Account{}, accounts.ErrUnknown
	}
	q := question{name, make(chan getent.Answer, 1)}
	a.mu.Lock()
	a.waiting = append(a.waiting, q)
	if a.running < runs {
		a.running++
		go a.run()
	}
	a.mu.Unlock()
	answer := <-q.answer
	return answer.Account, answer.Err
}

// run asks until nobody waits.
func (a *asker) run() {
	for {
		batch := a.next()
		if batch == nil {
			return
		}
		names := make([]string, len(batch))
		for i, q := range batch {
			names[i] = q.name
		}
		for i, answer := range a.lookup(names) {
			if answer.Err != nil && !errors.Is(answer.Err, accounts.ErrUnknown) {
				a.warn(answer.Err)
			}
			batch[i].answer <- answer
		}
	}
}

// next takes names that wait; nil ends the run.
func (a *asker) next() []question {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(len(a.waiting), getent.MaxNames)
	if n == 0 {
		a.running--
		return nil
	}
	batch := a.waiting[:n:n]
	if a.waiting = a.waiting[n:]; len(a.waiting) == 0 {
		a.waiting = nil
	}
	return batch
}
