package security

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	other := filepath.Join(dir, "b")
	synctest.Test(t, func(t *testing.T) {
		loads := 0
		var refusals []error
		w := &watched[string]{
			files: []string{path, other},
			load: func(*string) (*string, error) {
				loads++
				data, err := os.ReadFile(path)
				if err != nil {
					return nil, err
				}
				if string(data) == "bad" {
					return nil, errors.New("bad")
				}
				more, err := os.ReadFile(other)
				if err != nil && !errors.Is(err, fs.ErrNotExist) {
					return nil, err
				}
				s := string(data) + string(more)
				return &s, nil
			},
			refused: func(err error) { refusals = append(refusals, err) },
		}
		want := func(value string, wantLoads, wantRefusals int) {
			t.Helper()
			if got := *w.get(); got != value || loads != wantLoads || len(refusals) != wantRefusals {
				t.Errorf("%q after %d loads, %d of them refused; want %q, %d, %d", got, loads, len(refusals), value, wantLoads, wantRefusals)
			}
		}
		if err := w.open(); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("open without a file: %v", err)
		}
		loads = 0
		write(t, path, []byte("one"))
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		want("one", 1, 0)
		write(t, path, []byte("two"))
		want("one", 1, 0) // it is not time to look yet
		time.Sleep(lookInterval)
		want("two", 2, 0)
		time.Sleep(10 * lookInterval)
		want("two", 2, 0) // nothing changed
		write(t, path, []byte("bad"))
		time.Sleep(lookInterval)
		want("two", 3, 1)
		time.Sleep(lookInterval)
		want("two", 3, 1) // the same change is refused once
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookInterval)
		want("two", 4, 2)
		write(t, path, []byte("three"))
		time.Sleep(lookInterval)
		want("three", 5, 2)
		write(t, other, []byte("!")) // a file that comes into being
		time.Sleep(lookInterval)
		want("three!", 6, 2)
		if err := os.Chmod(other, 0o400); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookInterval)
		want("three!", 7, 2)

		// Many users at once load once.
		write(t, path, []byte("four"))
		time.Sleep(lookInterval)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { w.get() })
		}
		wg.Wait()
		want("four!", 8, 2)
	})
}
