package externalagent_test

import (
	"errors"
	"strings"
	"testing"

	"choria.io/choria/go/agent"
)

// Whatever a program leaves where its reply should be, the action ends, and says how the program did.
func TestHostileReplies(t *testing.T) {
	t.Parallel()
	h := newHost(t, "")
	h.write("x.json", describe("x", "1.0.0"), 0o644)
	for body, want := range map[string]string{
		`rm "$2"; mkfifo "$2"`:               "not a regular file; the program ended after",
		`rm "$2"; mkdir "$2"`:                "not a regular file",
		`ln -sf /dev/zero "$2"`:              "not a regular file",
		`rm "$2"; ln -s "$2" "$2"`:           "too many levels of symbolic links",
		`echo why >&2`:                       `has written none; the program ended after`,
		`echo why >&2; echo '{}}' > "$2"`:    `standard error: "why"`,
		`yes '[' | head -c 100000 > "$2"`:    "want a JSON object",
		`printf '{"data":\377' > "$2"`:       "invalid character",
		`exec >&- 2>&-; exit 5`:              "exit status 5 after",
		`yes x | head -c 1000000; exit 6`:    "exit status 6 after",
		`yes x | head -c 1000000 >&2; false`: `x\nx`,
	} {
		h.write("x", script(body), 0o755)
		h.watcher.Scan(t.Context())
		_, err := h.call("x", "go", `{"word":"a"}`, patience)
		var e *agent.Error
		if !errors.As(err, &e) || e.Status != agent.Aborted || !strings.Contains(e.Message, want) || len(e.Message) > 4<<10 {
			t.Errorf("%s: %.300v; want %q", body, err, want)
		}
	}
}
