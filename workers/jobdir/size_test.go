package jobdir

import "testing"

func TestMemorySizes(t *testing.T) {
	for text, want := range map[string]int64{`"64Mi"`: 64 << 20, `"2Ki"`: 2048, `1024`: 1024, `"7"`: 7, `"1Ti"`: 1 << 40, `"-1"`: -1, `"1.5Gi"`: -1, `"9999999999Ti"`: -1, `""`: -1} {
		var b Bytes
		if err := b.UnmarshalJSON([]byte(text)); (err != nil) != (want < 0) || want >= 0 && int64(b) != want {
			t.Errorf("%s: got %d, %v", text, b, err)
		}
	}
}
