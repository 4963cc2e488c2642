package lifecycle_test

import (
	"fmt"

	"choria.io/choria/go/lifecycle"
)

// An event that a program publishes about itself, and where.
func Example() {
	e := lifecycle.New(lifecycle.Startup, "poller1.example.net", "poller")
	data, err := lifecycle.Encode(e)
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := lifecycle.Decode(data)
	fmt.Println(lifecycle.Subject(got), got.Type, got.Identity, err)
	// Output: choria.lifecycle.event.startup.poller startup poller1.example.net <nil>
}
