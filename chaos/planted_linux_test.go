package chaos

import "testing"

// A build with a bug that only shows when the server dies is caught, and the
// promise that it breaks is named.
func TestPlantedBugIsFound(t *testing.T) {
	long(t)
	t.Parallel()
	path, err := build("planted", "-tags", "planted")
	if err != nil {
		t.Fatal(err)
	}
	u := newUserOf(t, path, "")
	g := u.gate("end")
	run := u.submit(step{name: "fails", lines: 10, script: g.wait(), exit: "3"})
	u.until("the job runs", func() bool { return u.count(Started) == 1 })
	u.killServer()
	g.open()
	u.observe(run)
	found := Check(u.facts())
	for _, b := range found {
		t.Log(b)
	}
	if want := "stage fails of run " + run + " succeeded, and its job " + run + ".fails.1 ended with 3"; len(found) != 1 || found[0].Promise != RightCodes || found[0].Why != want {
		t.Errorf("want one broken promise, %q: %s", RightCodes, want)
	}
}
