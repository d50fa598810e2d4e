package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Seats lists the engines that the state folder has been used with, each by its seat.
func Seats(home string) ([]Seat, error) {
	dirs, err := filepath.Glob(filepath.Join(home, "server*"))
	if err != nil {
		return nil, err
	}
	var seats []Seat
	for _, dir := range dirs {
		name := filepath.Base(dir)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		switch {
		case name == "server":
			seats = append(seats, Seat{Home: home})
		case strings.HasPrefix(name, "server-"):
			a, err := ReadAddress(filepath.Join(dir, "address.json"))
			if err != nil {
				return nil, fmt.Errorf("read which engine %q belongs to: %w", dir, err)
			}
			seats = append(seats, Seat{Home: home, External: a})
		}
	}
	return seats, nil
}
