package main

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// unmapProgram takes the code and the constants of the program out of the memory of this process.
// What is used again comes back page by page from the page cache, at some 0.2 µs each, and most of
// it, needed for starting only, never does.
func unmapProgram() error {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer f.Close()
	mappings, err := untouched(bufio.NewScanner(f), program)
	if err != nil {
		return err
	}
	for _, m := range mappings {
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, m.start, m.length, syscall.MADV_DONTNEED); errno != 0 {
			return os.NewSyscallError("madvise", errno)
		}
	}
	return nil
}

// A mapping is a part of the address space.
type mapping struct{ start, length uintptr }

// untouched returns the mappings of the program that can be taken out: those that cannot be written
// to, and that hold what is in the file and nothing else. The second says more than the first: a
// loader that relocates the program writes to parts of it before it makes them read-only, and what
// it wrote would be lost.
//
// Of each mapping there is a line with address range, permissions, offset, device, inode and path,
// and then a line each of several sizes, of which Anonymous is what is not in the file.
// Source: proc_pid_smaps(5).
func untouched(lines *bufio.Scanner, program string) (found []mapping, err error) {
	var m mapping // of the lines now read; length 0: none of interest
	for lines.Scan() {
		line := lines.Text()
		fields := strings.Fields(line)
		if len(fields) >= 5 && strings.Contains(fields[0], "-") {
			m = mapping{}
			if (fields[1] == "r-xp" || fields[1] == "r--p") && strings.HasSuffix(line, " "+program) {
				m = parseRange(fields[0])
			}
		} else if len(fields) == 3 && fields[0] == "Anonymous:" {
			if fields[1] == "0" && m.length > 0 {
				found = append(found, m)
			}
			m = mapping{}
		}
	}
	return found, lines.Err()
}

// parseRange parses FROM-TO, hexadecimal. What is no range has length 0.
func parseRange(text string) mapping {
	from, to, _ := strings.Cut(text, "-")
	start, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err1 != nil || err2 != nil || end <= start {
		return mapping{}
	}
	return mapping{uintptr(start), uintptr(end - start)}
}
