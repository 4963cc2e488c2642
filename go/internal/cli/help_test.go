package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"choria.io/choria/go/internal/cli"
)

// TestHelp holds the help of commands to the files in testdata/help; run with -update after a change.
func TestHelp(t *testing.T) {
	for _, command := range []string{"ping", "rpc", "find", "facts", "inventory", "enroll", "completion"} {
		var stdout, stderr bytes.Buffer
		if status := cli.Main(t.Context(), "mco", []string{command, "--help"}, strings.NewReader(""), &stdout, &stderr); status != 0 || stderr.Len() > 0 {
			t.Errorf("mco %s --help: exit status %d, %s", command, status, &stderr)
		}
		path := filepath.Join("testdata", "help", command+".txt")
		if *update {
			if err := os.WriteFile(path, stdout.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(stdout.Bytes(), want) {
			t.Errorf("mco %s --help prints\n%s\nwant what %s says", command, &stdout, path)
		}
	}
}
