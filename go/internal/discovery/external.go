package discovery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// external asks another program. The option command, otherwise
// plugin.choria.discovery.external.command, is the program with its arguments; other options are
// passed on to it.
var external = Method{
	Name:    "external",
	Options: nil,
	Find:    findExternally,
}

// What the request and the reply of a discovery program are called on the wire (protocol section
// 7.10).
const (
	externalRequest = "io.choria.choria.discovery.v1.external_request"
	externalReply   = "io.choria.choria.discovery.v1.external_reply"
	externalSchema  = "https://choria.io/schemas/choria/discovery/v1/external_request.json"
)

func findExternally(ctx context.Context, env *Env, q Query) ([]string, error) {
	line := q.Options["command"]
	if line == "" {
		line = env.setting("plugin.choria.discovery.external.command")
	}
	args, err := SplitWords(line)
	if err != nil {
		return nil, fmt.Errorf("command %q: %w", line, err)
	}
	if len(args) == 0 {
		return nil, errors.New("no command given: want the option command=COMMAND or plugin.choria.discovery.external.command")
	}
	dir, err := os.MkdirTemp("", "choria-discovery")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)

	timeout := max(q.Timeout, time.Second)
	options := maps.Clone(q.Options)
	if options == nil {
		options = map[string]string{}
	}
	delete(options, "command")
	request, err := json.Marshal(map[string]any{
		"$schema":     externalSchema,
		"protocol":    externalRequest,
		"collective":  q.Collective,
		"federations": append([]string{}, q.Federations...), // [] and not null
		"filter":      q.Filter,
		"options":     options,
		"timeout":     timeout.Seconds(),
	})
	if err != nil {
		return nil, err
	}
	in, out := filepath.Join(dir, "request.json"), filepath.Join(dir, "reply.json")
	if err := os.WriteFile(in, request, 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(out, nil, 0o600); err != nil {
		return nil, err
	}
	if err := runExternal(ctx, timeout, dir, append(args, in, out, externalRequest), in, out); err != nil {
		return nil, err
	}
	return readExternal(out, args[0])
}

// runExternal runs a discovery program until it ends or timeout has passed.
func runExternal(ctx context.Context, timeout time.Duration, dir string, args []string, in, out string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = []string{
		"CHORIA_EXTERNAL_REQUEST=" + in,
		"CHORIA_EXTERNAL_REPLY=" + out,
		"CHORIA_EXTERNAL_PROTOCOL=" + externalRequest,
		"PATH=" + os.Getenv("PATH"),
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // with its children
	cmd.WaitDelay = time.Second                                                          // should one have left the group
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("%s: not done after %v", args[0], timeout)
	case err != nil:
		text := strings.TrimSpace(stderr.String())
		if len(text) > 500 {
			text = text[:500]
		}
		return fmt.Errorf("%s: %w: %s", args[0], err, text)
	}
	return nil
}

// readExternal reads what a discovery program found.
func readExternal(path, program string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var reply struct {
		Protocol string   `json:"protocol"`
		Nodes    []string `json:"nodes"`
		Error    string   `json:"error"`
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return nil, fmt.Errorf("%s: reply: %w", program, err)
	}
	if reply.Error != "" {
		return nil, fmt.Errorf("%s: %s", program, reply.Error)
	}
	if reply.Protocol != externalReply {
		return nil, fmt.Errorf("%s: reply has protocol %q, want %q", program, reply.Protocol, externalReply)
	}
	return reply.Nodes, nil
}
