package ddl_test

import (
	"fmt"

	"choria.io/choria/go/ddl"
)

const description = `{
  "metadata": {"name": "sums", "description": "Adds numbers", "author": "Example", "license": "Apache-2.0",
               "version": "1.0.0", "url": "https://example.net", "timeout": 5},
  "actions": [{
    "action": "add", "description": "Adds two numbers", "display": "always", "impact": "read",
    "input": {"a": {"prompt": "A", "description": "One number", "type": "integer", "optional": false},
              "b": {"prompt": "B", "description": "Another", "type": "integer", "optional": true, "default": 1}},
    "output": {"sum": {"description": "Both together", "display_as": "Sum", "type": "integer"}}
  }]
}`

// Inputs as they are typed become values of the types that the description says, with its defaults.
func ExampleAgent_Arguments() {
	sums, err := ddl.Parse([]byte(description))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(sums.Arguments("add", map[string]string{"a": "41"}))
	fmt.Println(sums.Arguments("add", map[string]string{"a": "many"}))
	// Output:
	// map[a:41 b:1] <nil>
	// map[] input "a" of sums#add: "many" is not a valid integer
}
