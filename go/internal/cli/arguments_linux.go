package cli

import (
	"os"
	"strings"
	"unsafe"
)

// hideArguments overwrites texts that are arguments of this process, or what is behind the = of one, so that the list of
// processes does not show them any more. Until it is called they could be read.
//
// The strings of os.Args are the memory that the kernel shows as the command line, and it may be written. Whoever still
// needs an argument has to have a copy of its own.
func hideArguments(texts []string) {
	for i, arg := range os.Args {
		for _, text := range texts {
			if i > 0 && text != "" && (arg == text || strings.HasSuffix(arg, "="+text)) {
				memory := unsafe.Slice(unsafe.StringData(arg), len(arg))
				for j := len(arg) - len(text); j < len(arg); j++ {
					memory[j] = 'x'
				}
				break
			}
		}
	}
}
