package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"choria.io/choria/go/internal/playbook/store"
	"choria.io/choria/go/internal/streams"
)

// lockClient makes the test binary a client that fights for a lock.
const lockClient = "CHORIA_TEST_LOCK_CLIENT"

func TestMain(m *testing.M) {
	if config := os.Getenv(lockClient); config != "" {
		if err := fight([]byte(config)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A fighter takes a lock a few times, and makes sure that nobody else has it then: the witness is a file that
// the kernel unlocks when a process is killed.
type fighter struct {
	Properties map[string]any
	Broker     string
	Witness    string
	Rounds     int // 0: hold it until killed
}

func fight(config []byte) error {
	var f fighter
	d := json.NewDecoder(strings.NewReader(string(config)))
	d.UseNumber()
	if err := d.Decode(&f); err != nil {
		return err
	}
	ctx := context.Background()
	env := store.NewEnv(nil)
	if f.Broker != "" {
		conn, err := connect(ctx, f.Broker)
		if err != nil {
			return err
		}
		env.Streams = func(context.Context) (*streams.Conn, error) { return conn, nil }
	}
	witness, err := os.OpenFile(f.Witness, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	for round := 0; f.Rounds == 0 || round < f.Rounds; round++ {
		lock, err := env.Lock(ctx, "fight", f.Properties)
		if err != nil {
			return err
		}
		if err := unix.Flock(int(witness.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return fmt.Errorf("held together with somebody else: %w", err)
		}
		fmt.Println("holding")
		if f.Rounds == 0 {
			_, _ = io.Copy(io.Discard, os.Stdin) // until killed
		}
		time.Sleep(5 * time.Millisecond)
		if err := lock.Lost(); err != nil {
			return err
		}
		if err := unix.Flock(int(witness.Fd()), unix.LOCK_UN); err != nil {
			return err
		}
		if err := lock.Release(ctx); err != nil {
			return err
		}
	}
	return nil
}

// start starts a fighter. Its output must be read before it is waited for.
func (f fighter) start(t *testing.T) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	config, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), lockClient+"="+string(config))
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}

// TestFight has processes fight for a lock whose first holder is killed.
func TestFight(t *testing.T) {
	t.Parallel()
	for _, b := range backends(t) {
		if b.noLocks || b.noFights || b.name == "memory" {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			f := fighter{b.properties, b.broker, filepath.Join(t.TempDir(), "witness"), 0}
			holder, out := f.start(t)
			if !out.Scan() || out.Text() != "holding" {
				t.Fatalf("the holder says %q", out.Text())
			}
			f.Rounds = 3
			type fight struct {
				cmd *exec.Cmd
				out *bufio.Scanner
			}
			var fights []fight
			for range 3 {
				cmd, out := f.start(t)
				fights = append(fights, fight{cmd, out})
			}
			// A lock is renewed: it is held for longer than it would live.
			time.Sleep(b.ttl + b.ttl/2)
			if err := holder.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			for _, f := range fights {
				n := 0
				for f.out.Scan() {
					if n++; f.out.Text() != "holding" {
						t.Error(f.out.Text())
					}
				}
				if err := f.cmd.Wait(); err != nil || n != 3 {
					t.Errorf("a fighter held the lock %d times, %v", n, err)
				}
			}
		})
	}
}

// TestLocks is what the locks of every store do.
func TestLocks(t *testing.T) {
	t.Parallel()
	for _, b := range backends(t) {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			ctx, env := t.Context(), environment(t, b.broker)
			if b.noLocks {
				want := `lock data item "plan_store/l": the ` + b.name + ` store has no locks`
				if _, err := env.Lock(ctx, "l", b.properties); err == nil || err.Error() != want {
					t.Errorf("error %v, want %s", err, want)
				}
				return
			}
			brief := maps.Clone(b.properties)
			brief["timeout"] = json.Number("0.5")
			lock, err := env.Lock(ctx, "l", b.properties)
			if err != nil {
				t.Fatal(err)
			}
			other, err := env.Lock(ctx, "m", b.properties)
			if err != nil {
				t.Fatalf("another lock: %v", err)
			}
			want := `lock data item "plan_store/l": not obtained within 0.5 seconds: somebody else has it`
			if _, err := env.Lock(ctx, "l", brief); err == nil || err.Error() != want {
				t.Errorf("lock that is held: %v, want %s", err, want)
			}
			cancelled, cancel := context.WithCancel(ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
			if _, err := env.Lock(cancelled, "l", b.properties); err != context.Canceled {
				t.Errorf("interrupted while waiting: %v", err)
			}
			waiting := make(chan error)
			go func() {
				lock, err := env.Lock(ctx, "l", b.properties)
				if err == nil {
					err = lock.Release(ctx)
				}
				waiting <- err
			}()
			if err := lock.Lost(); err != nil {
				t.Errorf("lost: %v", err)
			}
			if err := lock.Release(ctx); err != nil {
				t.Errorf("release: %v", err)
			}
			if err := <-waiting; err != nil {
				t.Errorf("who waited: %v", err)
			}
			if err := other.Release(ctx); err != nil {
				t.Errorf("release of the other: %v", err)
			}
			if b.steal != nil {
				lock, err := env.Lock(ctx, "l", b.properties)
				if err != nil {
					t.Fatal(err)
				}
				b.steal(t, env, "l")
				await(t, "loss of the lock", func() bool { return lock.Lost() != nil })
				if err := lock.Release(ctx); err == nil || !strings.Contains(err.Error(), "the lock is gone") {
					t.Errorf("release of a lost lock: %v", err)
				}
				again, err := env.Lock(ctx, "l", b.properties)
				if err != nil {
					t.Fatal(err)
				}
				if err := again.Release(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
