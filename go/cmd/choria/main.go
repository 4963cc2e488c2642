// Choria is the command line for people and programs, also installed as mco.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"choria.io/choria/go/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(cli.Main(ctx, os.Args[0], os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
