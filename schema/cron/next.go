package cron

import "time"

// farthest is how many days are looked at: 29 February comes once in eight years, around
// 2100, and on a certain weekday more seldom.
const farthest = 41 * 366

// Next is the first time behind after, by the clocks of the place where after is; zero when
// none comes. A time that the clocks leave out, when they are put forward, is left out.
func (t Times) Next(after time.Time) time.Time {
	year, month, day := after.Date()
	for n := range farthest {
		date := time.Date(year, month, day+n, 0, 0, 0, 0, time.UTC) // a day by name, of any length
		if !t.on(date) {
			continue
		}
		for hour := range 24 {
			if !in(t.Hour, hour) {
				continue
			}
			for minute := range 60 {
				at := time.Date(date.Year(), date.Month(), date.Day(), hour, minute, 0, 0, after.Location())
				if in(t.Minute, minute) && at.After(after) && at.Hour() == hour {
					return at
				}
			}
		}
	}
	return time.Time{}
}

// on reports whether a day fits.
func (t Times) on(date time.Time) bool {
	day, weekday := in(t.Day, date.Day()), in(t.Weekday, int(date.Weekday()))
	return in(t.Month, int(date.Month())) && (day && weekday || t.Either && (day || weekday))
}
