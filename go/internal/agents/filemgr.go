package agents

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"choria.io/choria/go/agent"
)

// defaultTouchFile is what the actions are about when the request names no file and
// plugin.filemgr.touch_file is not set.
const defaultTouchFile = "/var/run/mcollective.plugin.filemgr.touch"

// maxEntries is how many entries of a directory are listed.
const maxEntries = 10_000

type filemgr struct{ setting setting }

// Filemgr returns the agent filemgr, which looks at files, touches and removes them. get looks up
// configuration keys and may be nil.
func Filemgr(get func(key string) (value string, ok bool)) *agent.Agent {
	f := &filemgr{setting: get}
	return newAgent("filemgr", map[string]agent.Action{"remove": f.remove, "status": f.status, "touch": f.touch})
}

type filemgrInputs struct {
	File    string `json:"file"`
	Dirlist bool   `json:"dirlist"`
}

// inputs returns the inputs with the file that is meant when none is named.
func (f *filemgr) inputs(req *agent.Request) (filemgrInputs, error) {
	var in filemgrInputs
	if req.Action == "status" {
		if err := bind(req, &in); err != nil {
			return in, err
		}
	} else {
		var file struct {
			File string `json:"file"`
		}
		if err := bind(req, &file); err != nil {
			return in, err
		}
		in.File = file.File
	}
	if in.File == "" {
		in.File = f.setting.or("plugin.filemgr.touch_file", defaultTouchFile)
	}
	return in, nil
}

// A fileStatus is the data of the action status. The types are those of the Ruby agent: of a file
// that is not there md5 and the times are the number 0, else text.
type fileStatus struct {
	Name         string   `json:"name"`
	Output       string   `json:"output"`
	Present      int      `json:"present"`
	Size         int64    `json:"size"`
	Mode         string   `json:"mode"` // type and permissions in octal, as in 100644
	MD5          any      `json:"md5"`
	Mtime        any      `json:"mtime"`
	Ctime        any      `json:"ctime"`
	Atime        any      `json:"atime"`
	MtimeSeconds int64    `json:"mtime_seconds"`
	CtimeSeconds int64    `json:"ctime_seconds"`
	AtimeSeconds int64    `json:"atime_seconds"`
	UID          uint32   `json:"uid"`
	GID          uint32   `json:"gid"`
	Type         string   `json:"type"`
	DirListing   []string `json:"dir_listing"` // null unless asked for

	directory bool // or a link to one
}

func (f *filemgr) status(ctx context.Context, req *agent.Request, reply *agent.Reply) error {
	in, err := f.inputs(req)
	if err != nil {
		return err
	}
	s, err := statFile(in.File)
	reply.Data = s
	if err != nil {
		return aborted(err)
	}
	if s.Present == 0 {
		return agent.Errorf(agent.Aborted, "%s does not exist", in.File)
	}
	if s.Type == "file" {
		sum, err := fileMD5(ctx, in.File)
		if err != nil {
			return aborted(err)
		}
		s.MD5 = sum
	}
	if in.Dirlist && s.directory {
		if s.DirListing, err = entries(in.File); err != nil {
			return aborted(err)
		}
		if !fits(s) {
			n := len(s.DirListing)
			s.DirListing = nil
			return agent.Errorf(agent.Aborted, "%s: the list of its %d entries is too large for one reply", in.File, n)
		}
	}
	return nil
}

// statFile returns what is known of a file without reading it. One that is not there is no error.
func statFile(path string) (*fileStatus, error) {
	s := &fileStatus{Name: path, Output: "not present", Type: "unknown", Mode: "0000", MD5: 0, Mtime: 0, Ctime: 0, Atime: 0}
	var target, st unix.Stat_t
	if err := unix.Stat(path, &target); err != nil { // a link to nothing is not present
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			return s, nil
		}
		return s, fmt.Errorf("%s: %w", path, err)
	}
	if err := unix.Lstat(path, &st); err != nil {
		return s, fmt.Errorf("%s: %w", path, err)
	}
	s.Output, s.Present = "present", 1
	s.Size, s.UID, s.GID = st.Size, st.Uid, st.Gid
	s.Mode = strconv.FormatUint(uint64(st.Mode), 8)
	s.Type, s.directory = fileType(st.Mode), fileType(target.Mode) == "directory"
	s.Mtime, s.MtimeSeconds = fileTime(st.Mtim)
	s.Ctime, s.CtimeSeconds = fileTime(st.Ctim)
	s.Atime, s.AtimeSeconds = fileTime(st.Atim)
	return s, nil
}

func fileType(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "file"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "symlink"
	case unix.S_IFSOCK:
		return "socket"
	case unix.S_IFCHR:
		return "chardev"
	case unix.S_IFBLK:
		return "blockdev"
	case unix.S_IFIFO:
		return "fifo"
	}
	return "unknown"
}

// fileTime returns a time as the Ruby agent shows it, in the zone of the node, and in Unix seconds.
func fileTime(ts unix.Timespec) (string, int64) {
	t := time.Unix(ts.Unix())
	return t.Format("2006-01-02 15:04:05 -0700"), t.Unix()
}

// fileMD5 returns the digest of a regular file, in hex. The digest is part of what the agent is
// known for and protects nothing.
func fileMD5(ctx context.Context, path string) (string, error) {
	// The file may be another one by now: a pipe must not block, nor a link lead elsewhere.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if st, err := file.Stat(); err != nil || !st.Mode().IsRegular() {
		return "", fmt.Errorf("%s: is no regular file any more", path)
	}
	h := md5.New()
	if _, err := io.Copy(h, &contextReader{ctx, file}); err != nil {
		return "", fmt.Errorf("md5 of %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// A contextReader reads until its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// entries returns the names of the entries of a directory, sorted.
func entries(path string) ([]string, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxEntries + 1)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(names) > maxEntries {
		return nil, fmt.Errorf("%s: has more than %d entries", path, maxEntries)
	}
	slices.Sort(names)
	if names == nil {
		names = []string{}
	}
	return names, nil
}

func (f *filemgr) remove(_ context.Context, req *agent.Request, _ *agent.Reply) error {
	in, err := f.inputs(req)
	if err != nil {
		return err
	}
	// os.Remove would also remove an empty directory.
	if err := unix.Unlink(in.File); err != nil {
		if errors.Is(err, unix.ENOENT) {
			return agent.Errorf(agent.Aborted, "remove %s: it is not present", in.File)
		}
		return agent.Errorf(agent.Aborted, "remove %s: %v", in.File, err)
	}
	return nil
}

func (f *filemgr) touch(_ context.Context, req *agent.Request, _ *agent.Reply) error {
	in, err := f.inputs(req)
	if err != nil {
		return err
	}
	// Without times the kernel takes its own, and asks only for the right to write.
	err = unix.UtimesNanoAt(unix.AT_FDCWD, in.File, nil, 0)
	if errors.Is(err, unix.ENOENT) {
		var file *os.File
		if file, err = os.OpenFile(in.File, os.O_WRONLY|os.O_CREATE|unix.O_NONBLOCK, 0o666); err == nil {
			err = file.Close()
		} else {
			err = errors.Unwrap(err) // the path is in the message already
		}
	}
	if err != nil {
		return agent.Errorf(agent.Aborted, "touch %s: %v", in.File, err)
	}
	return nil
}
