// Package vectors finds the messages of real peers that tests are held against.
package vectors

import (
	"os"
	"path/filepath"
	"testing"
)

// Dir returns the directory of the vectors: CHORIA_VECTORS, or shared/vectors beside the checkout.
// Where there is none the test fails in CI and is skipped elsewhere.
func Dir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("CHORIA_VECTORS")
	if dir == "" {
		dir = filepath.Join(root(t), "..", "shared", "vectors")
	}
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("vectors: %v (set CHORIA_VECTORS)", err)
		}
		t.Skipf("vectors: %v (set CHORIA_VECTORS)", err)
	}
	return dir
}

// root returns the directory of go.mod.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("vectors: no go.mod above the working directory")
		}
		dir = parent
	}
}
