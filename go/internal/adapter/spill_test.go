package adapter

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func mustOpen(t testing.TB, dir string, max int64) *spill {
	t.Helper()
	s, err := openSpill(dir, max)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

func fill(t testing.TB, s *spill, from, to, size int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := s.append([]Message{{ID: fmt.Sprint(i), Sender: "n1", Data: make([]byte, size)}}); err != nil {
			t.Fatal(err)
		}
	}
}

// take reads messages until there is none, and returns their ids.
func take(t testing.TB, s *spill) (ids []string) {
	t.Helper()
	for {
		batch, end, err := s.next(3, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(batch) == 0 {
			return ids
		}
		for _, m := range batch {
			ids = append(ids, m.ID)
		}
		if err := s.done(end); err != nil {
			t.Fatal(err)
		}
	}
}

func wantIDs(t testing.TB, got []string, from, to int) {
	t.Helper()
	var want []string
	for i := from; i < to; i++ {
		want = append(want, fmt.Sprint(i))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("read %v; want %v", got, want)
	}
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"+segmentExt+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestSpillOrder fills several files, restarts, and reads all in order.
func TestSpillOrder(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, 0)
	fill(t, s, 0, 10, 1<<20)
	if n := len(files(t, dir)); n != 3 {
		t.Errorf("%d files; want 3 of 4 MiB", n)
	}
	s.close()
	s = mustOpen(t, dir, 0)
	if s.waiting() != 10 {
		t.Errorf("%d messages; want 10", s.waiting())
	}
	fill(t, s, 10, 12, 1)
	wantIDs(t, take(t, s), 0, 12)
	if left := files(t, dir); len(left) != 0 || s.bytes != 0 || s.waiting() != 0 {
		t.Errorf("left: %v, %d bytes, %d messages", left, s.bytes, s.waiting())
	}
	fill(t, s, 0, 2, 1)
	wantIDs(t, take(t, s), 0, 2)
}

// TestSpillBounded refuses what is too much, and takes more when there is room again.
func TestSpillBounded(t *testing.T) {
	s := mustOpen(t, t.TempDir(), 4000)
	fill(t, s, 0, 3, 1000)
	if err := s.append([]Message{{ID: "x", Data: make([]byte, 1000)}}); !errors.Is(err, errSpillFull) {
		t.Errorf("error %v; want that it is full", err)
	}
	wantIDs(t, take(t, s), 0, 3)
	fill(t, s, 3, 6, 1000)
	wantIDs(t, take(t, s), 3, 6)
}

// TestSpillDiskFull writes to a disk that is full, to go on when it is not any more.
func TestSpillDiskFull(t *testing.T) {
	s := mustOpen(t, t.TempDir(), 0)
	fill(t, s, 0, 2, 100)
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	good := s.tail
	s.tail = full
	if err := s.append([]Message{{ID: "x", Data: make([]byte, 100)}}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v; want that there is no space", err)
	}
	if s.waiting() != 2 {
		t.Errorf("%d messages; want the 2 that were taken", s.waiting())
	}
	s.tail = good
	fill(t, s, 2, 4, 100)
	wantIDs(t, take(t, s), 0, 4)
}

// TestSpillUsed refuses a directory that somebody uses, and knows one whose process was killed.
func TestSpillUsed(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, 0)
	if s.killed {
		t.Error("nobody was killed")
	}
	if _, err := openSpill(dir, 0); err == nil || !strings.Contains(err.Error(), "used by another process") {
		t.Errorf("error %v", err)
	}
	if err := s.mark.Close(); err != nil { // as the kernel does
		t.Fatal(err)
	}
	again := mustOpen(t, dir, 0)
	if !again.killed {
		t.Error("not known that the last one was killed")
	}
	again.close()
	if s := mustOpen(t, dir, 0); s.killed {
		t.Error("the last one ended in order")
	}
}

// TestSpillCut reads what a process has left that was killed while it wrote.
func TestSpillCut(t *testing.T) {
	for cut := int64(1); cut < 40; cut++ {
		dir := t.TempDir()
		s := mustOpen(t, dir, 0)
		fill(t, s, 0, 5, 50)
		s.close()
		path := files(t, dir)[0]
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v; want 0600", info.Mode())
		}
		if err := os.Truncate(path, info.Size()-cut); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, dir, 0)
		fill(t, s, 4, 6, 50)
		wantIDs(t, take(t, s), 0, 6)
	}
}

// TestSpillDamaged leaves out what turns bad on the disk, and goes on with the next file.
func TestSpillDamaged(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, 0)
	fill(t, s, 0, 6, 1<<20)
	f, err := os.OpenFile(files(t, dir)[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("xx"), 100); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.next(10, 1<<20); !errors.Is(err, errDamaged) {
		t.Fatalf("error %v; want that it is damaged", err)
	}
	if n := s.skip(); n != 4 {
		t.Errorf("%d messages left out; want the 4 of the file", n)
	}
	wantIDs(t, take(t, s), 4, 6)
	if left := files(t, dir); len(left) != 1 || !strings.HasSuffix(left[0], ".damaged") {
		t.Errorf("left %v; want the damaged file", left)
	}
}

// Whatever stands in a file, it is read without trouble and in bounds.
func FuzzSpill(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x00\x00x"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "000000000001.spill"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, dir, 0)
		if n := s.waiting(); n != len(take(t, s)) {
			t.Errorf("%d messages were promised", n)
		}
	})
}
