package jobdir

import (
	"os"
	"path/filepath"
	"testing"
)

// The mark of a start is on the disk or torn after the machine went down. Torn, it
// counts as a start, and so does what was written behind it.
func TestATornLifeIsLost(t *testing.T) {
	for _, text := range []string{"star", "starting " + BootID(), "\x00\x00\x00", "starting " + BootID() + "\nstarted 1"} {
		dir := folder(t)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, lifeFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		start(t, dir, counting(dir))
		v := until(t, dir, ended)
		again, err := Look(dir)
		if v.Phase != Lost || again.Phase != Lost || !again.End.Equal(v.End) || err != nil || starts(dir) != 0 {
			t.Errorf("%q: got %+v, then %+v, %v, after %d starts", text, v, again, err, starts(dir))
		}
	}
}

// Of several verdicts the first counts.
func TestTheFirstVerdictCounts(t *testing.T) {
	dir := folder(t)
	start(t, dir, sh(dir, "exit 3"))
	v := until(t, dir, ended)
	got, err := life{}.conclude(dir, View{Phase: Lost})
	if err != nil || got.Phase != Ended || got.Status != 3 || !got.End.Equal(v.End) {
		t.Errorf("got %+v, %v", got, err)
	}
}
