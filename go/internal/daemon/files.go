package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// WritePIDFile writes the process id to path; the returned function removes the file, unless another
// process has written its own there. An empty path writes nothing.
func WritePIDFile(path string) (remove func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	pid := []byte(strconv.Itoa(os.Getpid()) + "\n")
	if err := replaceFile(path, pid, 0o644); err != nil {
		return nil, fmt.Errorf("pid file: %w", err)
	}
	return func() {
		if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, pid) {
			os.Remove(path)
		}
	}, nil
}

// WriteStatus writes status to path as one JSON object without a line end, readable by everybody. A
// reader sees the old object or the new one, never a part. Source: protocol section 16.
func WriteStatus(path string, status any) error {
	data, err := json.Marshal(status)
	if err == nil {
		err = replaceFile(path, data, 0o644)
	}
	if err != nil {
		return fmt.Errorf("status file: %w", err)
	}
	return nil
}

// replaceFile puts a file with data in the place of path.
func replaceFile(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// States for Notify.
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Notify tells the service manager the state of this process; without one it does nothing.
// Source: sd_notify(3).
func Notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	_, err = c.Write([]byte(state))
	return errors.Join(err, c.Close())
}
