package filter_test

import (
	"encoding/json"
	"fmt"

	"choria.io/choria/go/filter"
)

// A filter is matched against what a node says about itself.
func ExampleFilter_Match() {
	var f filter.Filter
	if err := f.AddWords("role::web country=mt"); err != nil {
		fmt.Println(err)
		return
	}
	for _, country := range []string{"mt", "uk"} {
		fmt.Println(f.Match(&filter.Node{
			Identity: "web1.example.net",
			Classes:  func() []string { return []string{"settings", "role::web"} },
			Facts:    func() json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"country":%q}`, country)) },
		}))
	}
	// Output:
	// true <nil>
	// false <nil>
}
