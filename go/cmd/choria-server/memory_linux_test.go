package main

import (
	"bufio"
	"slices"
	"strings"
	"testing"
)

func TestUntouched(t *testing.T) {
	const smaps = `00400000-009ac000 r-xp 00000000 fe:00 5505                 /usr/sbin/choria server
Size:               5808 kB
Rss:                4100 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
009ac000-00f96000 r--p 005ac000 fe:00 5505                 /usr/sbin/choria server
Size:               6056 kB
Anonymous:             0 kB
00f96000-00f98000 r--p 00b96000 fe:00 5505                 /usr/sbin/choria server
Size:                  8 kB
Anonymous:             4 kB
00f98000-00ffc000 rw-p 00b98000 fe:00 5505                 /usr/sbin/choria server
Size:                400 kB
Anonymous:             0 kB
c000000000-c000400000 rw-p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000001000 r--s 00000000 fe:00 5505         /usr/sbin/choria server
Anonymous:             0 kB
7f0000001000-7f0000002000 r-xp 00000000 fe:00 77           /usr/lib/libc.so.6
Anonymous:             0 kB
7f0000002000-7f0000003000 r--p 00000000 fe:00 78           /usr/sbin/choria
Anonymous:             0 kB
9-1 r-xp 00000000 fe:00 5505 /usr/sbin/choria server
Anonymous:             0 kB
7ffd5a1f2000-7ffd5a1f4000 r-xp 00000000 00:00 0            [vdso]
Anonymous:             0 kB
`
	got, err := untouched(bufio.NewScanner(strings.NewReader(smaps)), "/usr/sbin/choria server")
	want := []mapping{{0x400000, 0x5ac000}, {0x9ac000, 0x5ea000}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("untouched = %#x, %v; want %#x", got, err, want)
	}
}

// What was taken out comes back by itself.
func TestUnmapProgram(t *testing.T) {
	for range 3 {
		if err := unmapProgram(); err != nil {
			t.Fatal(err)
		}
		TestUntouched(t)
	}
}
