package qmaillocal

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"postrider/internal/control"
	"postrider/internal/fate"
	"postrider/internal/fdpass"
	"postrider/internal/limits"
	"postrider/internal/wire/localwork"
	"postrider/internal/wire/parent"
	"postrider/internal/wire/spawn"
	"postrider/internal/world"
)

// programLimit is how long the programs of a delivery may run under qmail-lspawn,
// which gives the worker a little longer before it ends the worker itself.
const programLimit = time.Hour

// worker serves qmail-lspawn over one link (internal/wire/localwork).
type worker struct {
	world   world.World
	link    *fdpass.Packets
	agent   *agent
	limits  limits.Limits // of programs
	setup   localwork.Setup
	results *resultQueue
	running sync.WaitGroup

	mu      sync.Mutex
	waiting map[uint64]chan bool // deliveries that want a slot
}

// inheritedWorker serves the link that qmail-lspawn left at its descriptor.
func inheritedWorker(w world.World) int {
	f, err := fdpass.Inherit(localwork.FD, "link to qmail-lspawn")
	if err != nil {
		return exitTemporary
	}
	link, err := fdpass.NewPackets(f)
	if err != nil {
		return exitTemporary
	}
	bounds, err := limits.Load(control.Dir(w.Home + "/control"))
	if err == nil {
		err = bounds.Bound()
	}
	if err != nil {
		fmt.Fprintln(w.Stderr, err) // qmail-lspawn logs it
		return exitTemporary
	}
	if serve(w, link, bounds) != nil {
		return exitTemporary // qmail-lspawn sees the end of the link
	}
	return exitDone
}

// serve carries out jobs until the link ends, and then finishes those it has.
func serve(w world.World, link *fdpass.Packets, programs limits.Limits) error {
	defer link.Close()
	wk := &worker{world: w, link: link, limits: programs, waiting: make(map[uint64]chan bool)}
	wk.results = newResultQueue(link)
	err := wk.receive()
	wk.abandonSlots()
	wk.running.Wait()
	wk.results.close()
	return err
}

func (wk *worker) receive() error {
	buf := make([]byte, localwork.MaxPacket)
	for {
		n, files, err := wk.link.Receive(buf, localwork.MaxJobs)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := wk.packet(buf[:n], files); err != nil {
			return err
		}
	}
}

// packet handles one packet and owns files.
func (wk *worker) packet(packet []byte, files []*os.File) error {
	kind := localwork.KindOf(packet)
	if kind == localwork.KindJobs {
		return wk.jobs(packet, files)
	}
	if len(files) != 0 {
		fdpass.CloseAll(files)
		return fmt.Errorf("packet %q with %d descriptors", byte(kind), len(files))
	}
	switch kind {
	case localwork.KindSetup:
		return wk.start(packet)
	case localwork.KindGranted, localwork.KindRefused:
		return wk.decided(kind, packet)
	}
	return fmt.Errorf("unknown packet %q", byte(kind))
}

func (wk *worker) start(packet []byte) error {
	setup, err := localwork.DecodeSetup(packet)
	if err != nil {
		return err
	}
	wk.setup = setup
	if wk.agent, err = newAgent(wk.world, parent.DecodeEnvironment(setup.Environment)); err != nil {
		return err
	}
	wk.agent.programLimit, wk.agent.ownGroup, wk.agent.limits = programLimit, true, wk.limits
	return nil
}

func (wk *worker) jobs(packet []byte, files []*os.File) error {
	jobs, err := localwork.DecodeJobs(packet)
	if err == nil {
		err = localwork.AttachFiles(jobs, files)
	}
	if err == nil && wk.agent == nil {
		err = fmt.Errorf("jobs before the setup")
	}
	if err != nil {
		fdpass.CloseAll(files)
		return err
	}
	for _, job := range jobs {
		wk.running.Go(func() { wk.results.add(wk.deliver(job)) })
	}
	return nil
}

// deliver carries out one job and owns the message.
func (wk *worker) deliver(job localwork.Job) spawn.Result {
	defer job.Message.Close()
	var said report
	d := &delivery{
		agent: wk.agent,
		operands: operands{job.User, job.Home, job.Local, job.Dash, job.Ext, job.Domain, job.Sender,
			wk.setup.DefaultDelivery},
		requireTLS: job.RequireTLS,
		out:        &said,
		slot:       func() error { return wk.waitForSlot(job.Delivery) },
	}
	var err error
	if d.message, err = messageOf(job.Message); err != nil {
		err = fate.Temp("3.5", "Sorry, message has wrong type. (#4.3.5)", "stat message", err)
	} else {
		err = d.run()
	}
	class := spawn.Success
	if err != nil {
		class = classOf(err)
		if text := textOf(err); text != "" {
			fmt.Fprintln(&said, text)
		}
	}
	return spawn.Result{Delivery: job.Delivery, Class: class, Text: said.String()}
}

func classOf(err error) spawn.Class {
	if fate.ClassOf(err) == fate.Permanent {
		return spawn.Failure
	}
	return spawn.Deferral
}

// waitForSlot asks for the slot of a delivery and returns when it is granted.
// qmail-lspawn takes it back with the result.
func (wk *worker) waitForSlot(delivery uint64) error {
	granted := make(chan bool, 1)
	wk.mu.Lock()
	if wk.waiting == nil { // the link has ended
		wk.mu.Unlock()
		return noSlot()
	}
	wk.waiting[delivery] = granted
	wk.mu.Unlock()
	if err := wk.link.Send(localwork.AppendSlot(nil, localwork.KindWanted, delivery)); err != nil {
		return noSlot()
	}
	switch yes, decided := <-granted; {
	case !decided:
		return noSlot()
	case !yes:
		return temporary("wait for a slot", nil, "Too many programs and forwards are under way. (#4.3.2)")
	}
	wk.mu.Lock()
	defer wk.mu.Unlock()
	if wk.waiting == nil {
		return noSlot()
	}
	return nil
}

func noSlot() error {
	return temporary("wait for a slot", nil, "Deliveries are being stopped. (#4.3.0)")
}

// decided wakes who waits for a slot.
func (wk *worker) decided(kind localwork.Kind, packet []byte) error {
	delivery, err := localwork.DecodeSlot(packet, kind)
	if err != nil {
		return err
	}
	wk.mu.Lock()
	defer wk.mu.Unlock()
	granted := wk.waiting[delivery]
	if granted == nil {
		return fmt.Errorf("slot for delivery %d, which wants none", delivery)
	}
	delete(wk.waiting, delivery)
	granted <- kind == localwork.KindGranted
	return nil
}

// abandonSlots wakes those who wait for a slot that will not come.
func (wk *worker) abandonSlots() {
	wk.mu.Lock()
	defer wk.mu.Unlock()
	for _, granted := range wk.waiting {
		close(granted)
	}
	wk.waiting = nil
}
