package externalagent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"choria.io/choria/go/internal/subprocess"
)

// Limits of what a program may say.
const (
	maxReply  = 16 << 20 // bytes of JSON; what a broker takes is less
	maxLines  = 1000     // of each stream that are logged, of one call
	maxStderr = 64 << 10
)

// An invocation is one call of a program.
type invocation struct {
	name     string // of the plugin
	program  string
	protocol string
	request  any             // the document it reads
	facts    json.RawMessage // nil: none, and an empty file name
	reply    any             // what its answer is decoded into
	log      *slog.Logger
}

// how a call went.
type how struct{ duration time.Duration }

// call runs a program. It gets the documents as files in a directory that nobody else can read.
func (r *Runner) call(ctx context.Context, inv *invocation) (how, error) {
	dir, err := os.MkdirTemp("", "choria-external-")
	if err != nil {
		return how{}, err
	}
	defer os.RemoveAll(dir)
	doc, err := json.Marshal(inv.request)
	if err != nil {
		return how{}, err
	}
	requestFile, replyFile, factsFile := filepath.Join(dir, "request.json"), filepath.Join(dir, "reply.json"), ""
	files := map[string][]byte{requestFile: doc, replyFile: nil}
	if inv.facts != nil {
		factsFile = filepath.Join(dir, "facts.json")
		files[factsFile] = inv.facts
	}
	for path, text := range files {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return how{}, err
		}
	}

	// The third argument is the same for activation. Source: rpc section 13.
	cmd := &subprocess.Command{
		Path: inv.program,
		Args: []string{requestFile, replyFile, requestProtocol},
		Dir:  os.TempDir(),
		Env: []string{
			"CHORIA_EXTERNAL_REQUEST=" + requestFile,
			"CHORIA_EXTERNAL_REPLY=" + replyFile,
			"CHORIA_EXTERNAL_PROTOCOL=" + inv.protocol,
			"CHORIA_EXTERNAL_CONFIG=" + r.config(inv.name),
			"CHORIA_EXTERNAL_FACTS=" + factsFile,
			"PATH=" + os.Getenv("PATH"),
		},
	}
	say := func(level slog.Level, stream string) func([]byte) {
		lines := 0 // of this stream; the streams are read concurrently
		return func(line []byte) {
			if lines++; lines <= maxLines {
				inv.log.Log(ctx, level, "program of the plugin wrote", "stream", stream, "line", strings.ToValidUTF8(string(line), "?"))
			}
		}
	}
	cmd.Stdout = subprocess.Buffer{Line: say(slog.LevelInfo, "stdout")}
	cmd.Stderr = subprocess.Buffer{Limit: maxStderr, Line: say(slog.LevelError, "stderr")}
	res, err := cmd.Run(ctx)
	if err != nil {
		return how{}, err
	}
	cmd.Stdout.Finish()
	cmd.Stderr.Finish()
	h := how{res.Duration}
	if err = ended(inv.program, res, decode(replyFile, inv.reply)); err == nil {
		return h, nil
	}
	if text := subprocess.Quote(cmd.Stderr.Bytes()); text != "" {
		err = fmt.Errorf("%w, standard error: %s", err, text)
	}
	return h, err
}

// ended says how a program ended that failed, or whose reply did.
func ended(program string, res *subprocess.Result, reply error) error {
	after := res.Duration.Round(time.Millisecond)
	switch {
	case res.Status == "" && reply == nil:
		return nil
	case res.Status == "":
		return fmt.Errorf("%w; the program ended after %s", reply, after)
	case strings.HasPrefix(res.Status, "killed after"):
		return fmt.Errorf("%s: %s", filepath.Base(program), res.Status)
	}
	return fmt.Errorf("%s: %s after %s", filepath.Base(program), res.Status, after)
}

// config returns the file that the settings of a plugin are in. The program may have to add .cfg,
// the name is that of the reference. Source: rpc section 13.
func (r *Runner) config(name string) string {
	if r.ConfigFile == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(r.ConfigFile), "plugin.d", name)
}

// decode reads the document that a program has written.
func decode(path string, v any) error {
	// The program may have put anything there. To open a pipe that nobody writes to would take for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return errors.New("reply: not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxReply+1))
	switch {
	case err != nil:
		return fmt.Errorf("reply: %w", err)
	case len(text) > maxReply:
		return fmt.Errorf("reply: larger than %d bytes", maxReply)
	case len(bytes.TrimSpace(text)) == 0:
		return errors.New("reply: the program has written none")
	case bytes.TrimSpace(text)[0] != '{':
		return errors.New("reply: want a JSON object")
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return nil
}
