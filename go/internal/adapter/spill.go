package adapter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Sizes of a spill.
const (
	defaultSpill = 256 << 20

	// segmentBytes is the size from which on the next messages go to a new file. It is deleted when
	// all of it is published; after a restart those of the oldest file are published once more.
	segmentBytes = 4 << 20

	// maxRecord is more than any message has.
	maxRecord = 64 << 20

	recordHead = 8 // length and CRC-32 (IEEE) of what follows, big endian
	segmentExt = ".spill"
	markName   = "in-use"
)

var (
	errSpillFull = errors.New("full")    // a message does not fit
	errDamaged   = errors.New("damaged") // what was written does not stand there
)

// A spill is messages on disk, in files that are named by ascending numbers. One that was written to
// by an earlier process is only read. Nil is one that is always empty.
type spill struct {
	dir    string
	max    int64
	wake   chan struct{} // has room for one: messages came
	mark   *os.File      // that is there, and locked, while a process uses the directory
	killed bool          // the process before this one did not end in order

	mu       sync.Mutex
	segments []*segment // the oldest first
	tail     *os.File   // of the last segment, nil when it is not written to
	offset   int64      // of what is to be read next, in the first segment
	read     int        // messages before offset
	bytes    int64      // of all segments
	count    int        // messages to be read
	since    time.Time  // when count was zero last
}

type segment struct {
	number uint64
	path   string
	size   int64
	count  int
}

// openSpill finds what an earlier process has left. max of zero means 256 MiB.
func openSpill(dir string, max int64) (*spill, error) {
	if max <= 0 {
		max = defaultSpill
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spill: %w", err)
	}
	s := &spill{dir: dir, max: max, wake: make(chan struct{}, 1), since: time.Now()}
	if err := s.claim(); err != nil {
		return nil, fmt.Errorf("spill: %w", err)
	}
	if err := s.find(); err != nil {
		s.close()
		return nil, fmt.Errorf("spill: %w", err)
	}
	return s, nil
}

// claim makes sure that no other process uses the directory, and finds out how the last one ended.
func (s *spill) claim() error {
	path := filepath.Join(s.dir, markName)
	_, err := os.Lstat(path)
	s.killed = err == nil
	if s.mark, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := syscall.Flock(int(s.mark.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		s.mark.Close()
		return fmt.Errorf("%s: used by another process", s.dir)
	}
	return nil
}

// find reads the files that are there.
func (s *spill) find() error {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), segmentExt)
		number, err := strconv.ParseUint(name, 10, 63)
		if !ok || err != nil {
			continue
		}
		seg := &segment{number: number, path: filepath.Join(s.dir, e.Name())}
		if err := seg.scan(); err != nil {
			return err
		}
		s.segments = append(s.segments, seg)
		s.bytes += seg.size
		s.count += seg.count
	}
	slices.SortFunc(s.segments, func(a, b *segment) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return s.trim()
}

// scan finds the messages of a segment. What a process that was killed has written in part is not
// one, and ends it.
func (g *segment) scan() error {
	f, err := os.Open(g.path)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		_, size, err := readRecord(f, g.size)
		if err != nil {
			if errors.Is(err, errRecord) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil
			}
			return err
		}
		g.size += size
		g.count++
	}
}

// readRecord reads what stands at offset, and how long it is.
func readRecord(f io.ReaderAt, offset int64) (Message, int64, error) {
	var head [recordHead]byte
	if _, err := f.ReadAt(head[:], offset); err != nil {
		return Message{}, 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxRecord {
		return Message{}, 0, errRecord
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f, offset+recordHead, int64(n)), body); err != nil {
		return Message{}, 0, err
	}
	if crc32.ChecksumIEEE(body) != binary.BigEndian.Uint32(head[4:]) {
		return Message{}, 0, errRecord
	}
	m, err := decodeMessage(body)
	return m, recordHead + int64(n), err
}

// observe shows what waits.
func (s *spill) observe(a *Adapter) {
	labels := []string{"name", a.Name, "identity", a.Identity}
	a.Metrics.GaugeFunc("choria_adapter_spill_msgs", "Messages that wait on disk for the sink", func() float64 { return float64(s.waiting()) }, labels...)
	a.Metrics.GaugeFunc("choria_adapter_spill_bytes", "Bytes of files that messages wait in", func() float64 {
		s.mu.Lock()
		defer s.mu.Unlock()
		return float64(s.bytes)
	}, labels...)
}

// lag returns how long some message has waited.
func (s *spill) lag() time.Duration {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return 0
	}
	return time.Since(s.since)
}

// waiting returns how many messages are to be read.
func (s *spill) waiting() int {
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// append writes messages to the disk, all or none of them.
func (s *spill) append(batch []Message) error {
	var data []byte
	for i := range batch {
		start := len(data)
		data = append(data, make([]byte, recordHead)...)
		data = batch[i].encode(data)
		body := data[start+recordHead:]
		binary.BigEndian.PutUint32(data[start:], uint32(len(body)))
		binary.BigEndian.PutUint32(data[start+4:], crc32.ChecksumIEEE(body))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bytes+int64(len(data)) > s.max {
		return fmt.Errorf("spill %s: %w: it has %d bytes of %d", s.dir, errSpillFull, s.bytes, s.max)
	}
	if err := s.grow(); err != nil {
		return fmt.Errorf("spill: %w", err)
	}
	g := s.segments[len(s.segments)-1]
	_, err := s.tail.WriteAt(data, g.size)
	if err == nil {
		err = s.tail.Sync()
	}
	if err != nil { // what was written in part is written over, or ends the segment
		return errors.Join(fmt.Errorf("spill: %w", err), s.tail.Truncate(g.size))
	}
	if s.count == 0 {
		s.since = time.Now()
	}
	g.size += int64(len(data))
	g.count += len(batch)
	s.bytes += int64(len(data))
	s.count += len(batch)
	select {
	case s.wake <- struct{}{}:
	default: // it is going to look
	}
	return nil
}

// grow makes a segment to append to. s.mu is held.
func (s *spill) grow() error {
	next := uint64(1)
	if n := len(s.segments); n > 0 {
		last := s.segments[n-1]
		if s.tail != nil && last.size < segmentBytes {
			return nil
		}
		next = last.number + 1
	}
	path := filepath.Join(s.dir, fmt.Sprintf("%012d%s", next, segmentExt))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	// A file that nobody finds after a loss of power would be as bad as none.
	if err := syncDir(s.dir); err != nil {
		_ = f.Close()
		_ = os.Remove(path)
		return err
	}
	s.closeTail()
	s.tail = f
	s.segments = append(s.segments, &segment{number: next, path: path})
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// closeTail ends writing to the last segment. s.mu is held.
func (s *spill) closeTail() {
	if s.tail != nil {
		_ = s.tail.Close() // all is synced
		s.tail = nil
	}
}

// An end is up to where messages were read.
type end struct {
	segment uint64
	offset  int64
	count   int
}

// next returns the oldest messages, as many as are in one file and within the limits, at least one
// when there is any. They stay until done is called.
func (s *spill) next(most int, size int64) ([]Message, end, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == 0 {
		return nil, end{}, nil
	}
	g := s.segments[0]
	at := end{g.number, s.offset, 0}
	f, err := os.Open(g.path)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		return nil, at, err
	}
	defer f.Close()
	var batch []Message
	for at.offset < g.size && len(batch) < most && at.offset-s.offset < size {
		m, n, err := readRecord(f, at.offset)
		if err != nil {
			if len(batch) > 0 {
				break // these first
			}
			if errors.Is(err, errRecord) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("%w: %w", errDamaged, err)
			}
			return nil, at, fmt.Errorf("%s, byte %d: %w", g.path, at.offset, err)
		}
		batch = append(batch, m)
		at.offset += n
		at.count++
	}
	return batch, at, nil
}

// done forgets what was read up to e.
func (s *spill) done(e end) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 || s.segments[0].number != e.segment {
		return nil
	}
	s.offset = e.offset
	s.read += e.count
	s.count -= e.count
	return s.trim()
}

// skip forgets the rest of the oldest segment, which is damaged, and returns how many messages that is.
func (s *spill) skip() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return 0
	}
	g := s.segments[0]
	lost := g.count - s.read
	s.count -= lost
	_ = os.Rename(g.path, g.path+".damaged") // for a person to look at
	s.drop()
	return lost
}

// trim deletes segments that were read. s.mu is held, or nobody else knows s.
func (s *spill) trim() error {
	for len(s.segments) > 0 && s.offset >= s.segments[0].size {
		if err := os.Remove(s.segments[0].path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("spill: %w", err)
		}
		s.drop()
	}
	return nil
}

// drop forgets the oldest segment. s.mu is held.
func (s *spill) drop() {
	if len(s.segments) == 1 {
		s.closeTail()
	}
	s.bytes -= s.segments[0].size
	s.segments = s.segments[1:]
	s.offset, s.read = 0, 0
}

func (s *spill) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeTail()
	_ = os.Remove(s.mark.Name()) // before the lock goes with the file
	_ = s.mark.Close()
}
