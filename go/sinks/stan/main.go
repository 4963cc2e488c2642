// Command choria-sink-stan publishes for a data adapter of choria-broker to NATS Streaming.
//
// It is a module of its own, since neither the server nor the client of NATS Streaming are maintained
// any more: what they depend on stays out of everything else. choria-broker starts it and speaks to it by
// lines of JSON; go/internal/adapter/program.go is the other side and says what they are.
package main

import (
	"fmt"
	"os"
)

func main() {
	// There is no signal to handle: it ends when its input does, and that ends with who started it.
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
