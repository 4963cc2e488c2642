package cli

import (
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"choria.io/choria/go/internal/build"
)

func addVersion(e *env, app *kingpin.Application) {
	cmd := app.Command("version", "Prints the version of this program.")
	cmd.Action(func(*kingpin.ParseContext) error {
		fmt.Fprintf(e.stdout, "%s %s (commit %s)\n", e.name, build.Version, build.Commit)
		return nil
	})
}
