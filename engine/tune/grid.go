package tune

// Size is how many combinations the space has, and whether it has a number of them at
// all. It is no more than most.
func (s Space) Size(most int) (n int, ok bool) {
	n = 1
	for _, p := range s {
		values, discrete := p.discrete()
		if !discrete {
			return 0, false
		}
		if values == 0 {
			return 0, true
		}
		if n > most/values {
			n = most
			continue
		}
		n *= values
	}
	return min(n, most), true
}

// combination is number n of them; the last parameter changes first.
func (s Space) combination(n uint64) (Settings, bool) {
	all := make(Settings, len(s))
	for i := len(s) - 1; i >= 0; i-- {
		values, discrete := s[i].discrete()
		if !discrete || values == 0 {
			return nil, false
		}
		all[s[i].Name] = s[i].member(int(n % uint64(values)))
		n /= uint64(values)
	}
	return all, n == 0
}
