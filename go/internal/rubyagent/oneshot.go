package rubyagent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"

	"choria.io/choria/go/internal/subprocess"
)

// oneShot runs one request in a process of its own: our shim, or the program shim, which then gets
// the configuration file alone as the historic one does.
func (r *Runner) oneShot(ctx context.Context, name, shim string, doc []byte, log *slog.Logger) (*outcome, error) {
	release, err := r.pool.enter(ctx, name)
	if err != nil {
		return nil, err
	}
	defer release()
	cmd := &subprocess.Command{
		Stdin:  append(doc, '\n'),
		Stdout: subprocess.Buffer{Limit: maxReply},
	}
	stderr := &stderrLog{log: log}
	cmd.Stderr = stderr.buffer()
	if shim != "" {
		if err := r.historic(cmd, shim); err != nil {
			return nil, err
		}
	} else {
		if cmd.Path, cmd.Args, err = r.command(); err != nil {
			return nil, err
		}
		reader, writer, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer reader.Close()
		defer writer.Close() // nothing is ever written: that it is closed says that we are gone
		cmd.Files = []*os.File{reader}
		cmd.Attentive = true
		cmd.Env = append(os.Environ(), "CHORIA_LIFELINE=3")
	}
	res, err := cmd.Run(ctx)
	if err != nil {
		return nil, err
	}
	cmd.Stderr.Finish()
	return &outcome{
		result:    bytes.TrimSpace(cmd.Stdout.Bytes()),
		truncated: cmd.Stdout.Truncated(),
		stderr:    stderr.raw,
		status:    res.Status,
		duration:  res.Duration,
	}, nil
}

// historic fills in the command line of a shim that is not ours.
func (r *Runner) historic(cmd *subprocess.Command, shim string) error {
	path, err := exec.LookPath(shim)
	if err != nil {
		return fmt.Errorf("plugin.choria.agent_provider.mcorpc.agent_shim: %w", err)
	}
	file := r.cfg.RubyShimConfig
	if file == "" {
		file = r.cfg.File()
	}
	if file == "" {
		return fmt.Errorf("shim %s: plugin.choria.agent_provider.mcorpc.config is not set", shim)
	}
	cmd.Path, cmd.Args = path, []string{"--config", file}
	return nil
}
