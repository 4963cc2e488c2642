package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"choria.io/choria/go/internal/config"
	"choria.io/choria/go/internal/streams"
	"choria.io/choria/go/internal/transport"
)

const storeKey = "plugin.choria.network.stream.store"

// Sizes and times of streams.
const (
	// maxCopies is on how many brokers a stream can be. Source: StreamMaxReplicas of the NATS server.
	maxCopies = 5

	// leastAge is the least time that a stream keeps messages. Source: the NATS server refuses less.
	leastAge = 100 * time.Millisecond

	// maxVote is the most bytes of a value in the bucket of leader elections. Source: protocol
	// section 10.4.
	maxVote = 1024

	// maxMemory is how many bytes streams in memory may have, which is none of ours: a broker is
	// there for its connections first.
	maxMemory = 256 << 20

	// storeCheck is the time between two looks at whether the store still works, leastRoom the
	// bytes that must be free before a store that ran full is used again.
	storeCheck   = 10 * time.Second
	leastRoom    = 64 << 20
	settle       = 2                // how many looks later they are started again at the earliest
	maxStoreWait = 10 * time.Minute // between two attempts to start them again
)

// A StoreError says why streams cannot be kept where the configuration says.
type StoreError struct {
	Dir string
	Err error
}

func (e *StoreError) Error() string {
	return fmt.Sprintf("%s: %s: %v", storeKey, e.Dir, e.Err)
}

func (e *StoreError) Unwrap() error { return e.Err }

// Hint returns what to do about it.
func (e *StoreError) Hint() string {
	switch {
	case errors.Is(e.Err, syscall.EACCES), errors.Is(e.Err, syscall.EPERM):
		return fmt.Sprintf("give the directory to the user of the broker: chown -R USER %s", e.Dir)
	case errors.Is(e.Err, syscall.ENOSPC), errors.Is(e.Err, syscall.EDQUOT):
		return "make room on that file system, or name a directory on another one"
	case errors.Is(e.Err, syscall.EROFS):
		return "the file system is mounted read-only"
	}
	return ""
}

// streamOptions switches streams on, when the configuration has a place for them.
func streamOptions(cfg *config.Config, o *server.Options) error {
	if cfg.StreamStore == "" {
		return nil
	}
	for _, r := range retentions(cfg) {
		if r.age != 0 && r.age < leastAge {
			return fmt.Errorf("%s: %v: want at least %v, or 0 for no such stream", r.key("retention"), r.age, leastAge)
		}
		if r.copies == 0 || r.copies > maxCopies {
			return fmt.Errorf("%s: %d: want 1 to %d, or -1 for one on each broker", r.key("replicas"), r.copies, maxCopies)
		}
	}
	if n := cfg.LeaderElectionReplicas; n == 0 || n > maxCopies {
		return fmt.Errorf("plugin.choria.network.stream.leader_election_replicas: %d: want 1 to %d, or -1 for one on each broker", n, maxCopies)
	}
	if err := checkStore(cfg.StreamStore); err != nil {
		return err
	}
	// That an account has streams can be said in the server's own language alone; a call for it
	// works only when the server runs, after it has read the store.
	accounts := &server.Options{}
	if err := accounts.ProcessConfigString(fmt.Sprintf("accounts { %s { jetstream: enabled }, %s {} }", mainAccount, systemAccount)); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	o.Accounts = accounts.Accounts
	o.JetStream = true
	o.StoreDir = cfg.StreamStore
	o.JetStreamMaxMemory = maxMemory
	o.DisableJetStreamBanner = true
	return nil
}

// checkStore makes the directory, and finds out whether it can be written to.
func checkStore(dir string) error {
	cause := func(err error) error {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return &StoreError{dir, err}
	}
	if !filepath.IsAbs(dir) {
		return &StoreError{dir, errors.New("want an absolute path")}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cause(err)
	}
	f, err := os.CreateTemp(dir, ".choria-check-")
	if err != nil {
		return cause(err)
	}
	_, err = f.Write(make([]byte, 4096))
	err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	if err != nil {
		return cause(err)
	}
	return nil
}

// A retention is one of the standard streams. Source: protocol section 10.4.
type retention struct {
	setting  string // plugin.choria.network.stream.<setting>_retention
	name     string
	subjects string
	to       string // stored under another subject
	age      time.Duration
	copies   int // -1: one on each broker
}

func (r retention) key(what string) string {
	return "plugin.choria.network.stream." + r.setting + "_" + what
}

func retentions(cfg *config.Config) []retention {
	return []retention{
		{"event", "CHORIA_EVENTS", "choria.lifecycle.>", "", cfg.EventRetention, cfg.EventReplicas},
		{"machine", "CHORIA_MACHINE", "choria.machine.>", "", cfg.MachineRetention, cfg.MachineReplicas},
		{"advisory", "CHORIA_STREAM_ADVISORIES", "$JS.EVENT.ADVISORY.>", "", cfg.AdvisoryRetention, cfg.AdvisoryReplicas},
		{"executor", "CHORIA_EXECUTOR", "choria.submission.in.choria.executor.>", "choria.executor.>", cfg.ExecutorRetention, cfg.ExecutorReplicas},
	}
}

// copies returns on how many brokers a stream is to be.
func (b *Broker) copies(configured int) int {
	if configured > 0 {
		return configured
	}
	return min(max(b.size, 1), maxCopies)
}

// streams keeps the standard streams as the configuration says, and the store in use. It returns
// when ctx ends.
func (b *Broker) streams(ctx context.Context, srv *server.Server) error {
	if b.cfg.StreamStore == "" {
		<-ctx.Done()
		return nil
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	if b.cfg.ManageStreams {
		wg.Go(func() { b.makeStreams(ctx) })
	}
	b.watchStore(ctx, srv)
	return nil
}

// makeStreams makes the standard streams, as often as it takes: brokers of a cluster have to find
// each other first.
func (b *Broker) makeStreams(ctx context.Context) {
	conn, err := transport.Connect(ctx, transport.Options{InProcess: b.InProcess, Name: b.cfg.Identity + " streams", Log: b.log})
	if err != nil {
		return // ctx has ended, nothing else keeps it from connecting
	}
	defer conn.Close(ctx)
	s := streams.On(conn)
	said := ""
	for delay := 250 * time.Millisecond; ; delay = min(2*delay, 30*time.Second) {
		// What is asked while a cluster has no leader is never answered.
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second+delay)
		err := b.ensure(attempt, s)
		cancel()
		if err == nil {
			b.log.Info("streams are ready", "store", b.cfg.StreamStore)
			return
		}
		if ctx.Err() != nil {
			return
		}
		// That a cluster has no leader yet is usual for some seconds.
		if text := err.Error(); text != said && delay > time.Second {
			said = text
			b.log.Warn("streams are not ready", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
	}
}

// ensure makes all standard streams; one that cannot be made does not keep it from the others.
func (b *Broker) ensure(ctx context.Context, s *streams.Conn) error {
	var errs []error
	done := func(name string, change streams.Change, err error) {
		switch {
		case err != nil:
			errs = append(errs, err)
		case change != streams.Unchanged:
			b.log.Info("stream "+string(change), "stream", name)
		}
	}
	for _, r := range retentions(b.cfg) {
		if r.age == 0 {
			continue
		}
		d := streams.Definition{
			Name: r.name, Subjects: []string{r.subjects}, MaxAge: r.age, Replicas: b.copies(r.copies),
			Advisories: strings.HasPrefix(r.subjects, "$JS."),
		}
		if r.to != "" {
			d.From, d.To = r.subjects, r.to
		}
		change, err := s.Ensure(ctx, d)
		done(r.name, change, err)
	}
	change, err := s.EnsureBucket(ctx, streams.BucketConfig{
		Name: streams.Elections, TTL: b.cfg.LeaderElectionTTL, MaxValue: maxVote, Replicas: b.copies(b.cfg.LeaderElectionReplicas),
	})
	done(streams.Elections, change, err)
	return errors.Join(errs...)
}

// trouble says why streams do not all work, nil when they do. A server whose disk is full keeps the
// stream that it could not write from being written to, or gives up all of them, until it is started
// again.
func trouble(srv *server.Server) error {
	if !srv.JetStreamEnabled() {
		return errors.New("the server has given them up")
	}
	for _, e := range srv.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if strings.Contains(e.Error, "write error") {
			return errors.New(e.Error)
		}
	}
	return nil
}

// watchStore says when streams do not work, and starts those again that a full disk has stopped when
// there is room. In a cluster it does not: the server is not made for taking part in one anew while
// it runs (measured: data races, and consumers that are refused), and other brokers carry on.
func (b *Broker) watchStore(ctx context.Context, srv *server.Server) {
	tick := time.NewTicker(b.storeCheck)
	defer tick.Stop()
	clustered := b.opts.Cluster.Port != 0 || b.opts.Gateway.Port != 0
	var retry time.Time // not before
	wait := b.storeCheck
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := trouble(srv)
		free := freeBytes(b.cfg.StreamStore)
		switch was := b.storeBroken.Swap(err != nil); {
		case err == nil:
			if was {
				b.log.Info("streams work again", "store", b.cfg.StreamStore)
			}
			wait = b.storeCheck
			continue
		case !was:
			// The server may still be giving them up, which it must not do to those of a new start.
			retry = time.Now().Add(settle * b.storeCheck)
			cure := "make room on that file system; streams start again when 64 MiB are free"
			if clustered {
				cure = "make room on that file system, then restart this broker; the others of the cluster carry on"
			}
			b.log.Error("streams do not work", "store", b.cfg.StreamStore, "free_bytes", free, "err", err, "cure", cure)
		}
		if clustered {
			continue
		}
		if free < leastRoom || time.Now().Before(retry) || checkStore(b.cfg.StreamStore) != nil {
			continue
		}
		// A disk that is broken is not better for being asked again and again.
		wait = min(2*wait, maxStoreWait)
		retry = time.Now().Add(wait)
		if err := b.restartStreams(srv); err != nil {
			b.log.Warn("streams were not started again", "store", b.cfg.StreamStore, "err", err)
		}
	}
}

// restartStreams reads the store anew.
func (b *Broker) restartStreams(srv *server.Server) error {
	if err := srv.ShutdownJetStream(); err != nil { // which keeps what is in the store
		return err
	}
	return srv.EnableJetStream(&server.JetStreamConfig{
		StoreDir: b.cfg.StreamStore, MaxMemory: maxMemory, SyncInterval: b.opts.SyncInterval, Strict: true, CompressOK: true,
	})
}

// freeBytes returns the room on the file system of dir for who is not root.
func freeBytes(dir string) uint64 {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0
	}
	return fs.Bavail * uint64(fs.Bsize)
}
