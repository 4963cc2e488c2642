package labtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// EnvBin names the directory of the programs built by Main, for the tests that it runs.
const EnvBin = "CHORIA_TEST_BIN"

// Main builds choria, mco, choria-server and choria-broker from this tree, runs the tests of a
// package with Binaries returning where they are, and removes them. Use it as TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(labtest.Main(m)) }
func Main(m *testing.M) int {
	dir, err := os.MkdirTemp("", "choria-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-o", dir+"/", "choria.io/choria/go/cmd/...")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the programs:", err)
		return 1
	}
	if err := os.Symlink("choria", filepath.Join(dir, "mco")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(EnvBin, dir)
	return m.Run()
}

// Binaries returns the directory of the programs that Main built.
func Binaries(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(EnvBin)
	if dir == "" {
		t.Fatal("labtest: TestMain of this package does not call labtest.Main")
	}
	return dir
}
