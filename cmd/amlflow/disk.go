package main

import (
	"fmt"
	"syscall"
)

// cramped is how little room on its disk stops an engine.
const cramped = 1 << 20

// ofFullDisk has notices say so when there is no room on the disk of the state folder, since
// the engine cannot: it waits, and so does whoever asks it.
func ofFullDisk(home string, notice func(string)) func(string) {
	if notice == nil {
		return nil
	}
	return func(text string) {
		if free, err := freeSpace(home); err == nil && free < cramped {
			text = fmt.Sprintf("%s the disk of %q is full: make room, and runs go on from where they are", text, home)
		}
		notice(text)
	}
}

// freeSpace is how many bytes a user may still write to the disk of dir.
func freeSpace(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil //nolint:unconvert // Bsize has other types on other systems
}
