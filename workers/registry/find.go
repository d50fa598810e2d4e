package registry

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Find returns the version that a number, a label or "latest" names. An error says what
// there is instead, for people.
func (r Registry) Find(name, which string) (Version, error) {
	all, err := r.numbers(name)
	if err != nil {
		return Version{}, err
	}
	if len(all) == 0 {
		return Version{}, r.unknown(name)
	}
	n, err := strconv.Atoi(which)
	if err == nil {
		return r.numbered(name, n, all)
	}
	if which == Latest {
		return r.latest(name)
	}
	if !slices.Contains(Labels, which) {
		return Version{}, fmt.Errorf("%w: %s@%s: write a version, %s or %s", ErrUnknown, name, which, strings.Join(Labels, ", "), Latest)
	}
	holders, err := r.Holders(name)
	if err != nil {
		return Version{}, err
	}
	if n = holders[which]; n == 0 {
		return Version{}, fmt.Errorf("%w: no version of %q is labelled %s: `amlflow model promote %s@%d --label %s` does that", ErrUnknown, name, which, name, all[len(all)-1], which)
	}
	return r.numbered(name, n, all)
}

func (r Registry) numbered(name string, n int, all []int) (Version, error) {
	if !slices.Contains(all, n) {
		return Version{}, fmt.Errorf("%w: %s@%d: the newest version is %d", ErrUnknown, name, n, all[len(all)-1])
	}
	v, err := r.read(name, n)
	if err == nil && v.Removed != nil {
		err = fmt.Errorf("%w: %s@%d was removed by %s on %s%s", ErrUnknown, name, n, v.Removed.By, v.Removed.At.Local().Format("2006-01-02"), reason(v.Removed.Why))
	}
	return v, err
}

func reason(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

func (r Registry) latest(name string) (Version, error) {
	versions, err := r.Versions(name)
	if err != nil {
		return Version{}, err
	}
	if len(versions) == 0 {
		return Version{}, fmt.Errorf("%w: all versions of %q were removed", ErrUnknown, name)
	}
	return versions[len(versions)-1], nil
}

func (r Registry) unknown(name string) error {
	all, err := r.Names()
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return fmt.Errorf("%w: %q: the registry is empty; a stage with an output of type model fills it", ErrUnknown, name)
	}
	const most = 8
	if len(all) > most {
		all = append(all[:most], "…")
	}
	return fmt.Errorf("%w: %q: there are %s", ErrUnknown, name, strings.Join(all, ", "))
}
