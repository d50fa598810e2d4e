package mask

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// encoders are forms as other programs write them, each with the part that must
// not be seen afterwards.
var encoders = map[string]func(s string) (text, hidden string){
	"raw":      same(func(s string) string { return s }),
	"hex":      same(func(s string) string { return hex.EncodeToString([]byte(s)) }),
	"HEX":      same(func(s string) string { return fmt.Sprintf("%X", s) }),
	"query":    same(url.QueryEscape),
	"path":     same(url.PathEscape),
	"small %":  same(func(s string) string { return escapes.ReplaceAllStringFunc(url.QueryEscape(s), strings.ToLower) }),
	"base64 0": encoded(base64.StdEncoding, "", ""),
	"base64 1": encoded(base64.StdEncoding, "u", "."),
	"base64 2": encoded(base64.StdEncoding, "u:", "\n"),
	"base64 3": encoded(base64.RawURLEncoding, "u:p", "12"),
	"base64 4": encoded(base64.URLEncoding, "u:p@", ""),
	"base64 5": encoded(base64.URLEncoding, "u:p@x", "!"),
	"json": same(func(s string) string {
		text, _ := json.Marshal(s)
		return string(text[1 : len(text)-1])
	}),
	"json in json": same(func(s string) string {
		once, _ := json.Marshal(s)
		text, _ := json.Marshal(string(once[1 : len(once)-1]))
		return string(text[1 : len(text)-1])
	}),
}

var escapes = regexp.MustCompile(`%[0-9A-F]{2}`)

func same(f func(string) string) func(string) (string, string) {
	return func(s string) (string, string) { return f(s), f(s) }
}

// encoded hides what s alone decides: the characters at both ends depend on its
// neighbours, too.
func encoded(e *base64.Encoding, before, after string) func(string) (string, string) {
	return func(s string) (string, string) {
		text := e.EncodeToString([]byte(before + s + after))
		return text, text[(8*len(before)+5)/6 : 8*(len(before)+len(s))/6]
	}
}

// far apart are parts of a secret that are masked each by itself.
var far = regexp.MustCompile(`[\r\n]{5}`)

// secretOf draws secrets of letters, of marks that are escaped somewhere, and of
// few letters, so that forms overlap.
func secretOf(t *rapid.T) string {
	alphabet := rapid.SampledFrom([]string{"ab", "abcXYZ019", "a\"\\/<&>+= ~%$'é\U0001f680\t", "a\nb \r"}).Draw(t, "alphabet")
	s := rapid.StringOfN(rapid.RuneFrom([]rune(alphabet)), shortest, 40, -1).Draw(t, "secret")
	if strings.TrimSpace(s) == "" || far.MatchString(s) {
		t.Skip("nothing to hide")
	}
	return s
}

// pieces writes text in portions of drawn lengths.
func pieces(t *rapid.T, m *Masker, text string) string {
	var out bytes.Buffer
	w := m.Writer(&out)
	for rest := []byte(text); len(rest) > 0; {
		n := min(rapid.IntRange(1, 9).Draw(t, "portion"), len(rest))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestNoFormGetsThrough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := secretOf(t)
		for _, name := range names {
			hides(t, secret, name)
		}
	})
}

var names = slices.Sorted(maps.Keys(encoders))

func hides(t *rapid.T, secret, name string) {
	form, hidden := encoders[name](secret)
	noise := rapid.StringOf(rapid.RuneFrom([]rune("ab019 \n%\\\"é")))
	before, after := noise.Draw(t, "before"), noise.Draw(t, "after")
	m := New([]string{"other secret", secret})
	text := before + form + after
	got := pieces(t, m, text)
	if name == "raw" && strings.ContainsAny(secret, "\n\r") {
		hidden = strings.TrimSpace(hidden)
	}
	if strings.Contains(got, hidden) {
		t.Fatalf("%s of %q shows in %q", name, secret, got)
	}
	if len(got) != len(text) || got != m.String(text) {
		t.Fatalf("%q became %q in pieces and %q as a whole", text, got, m.String(text))
	}
	if read, err := io.ReadAll(iotest.HalfReader(m.Reader(strings.NewReader(text)))); err != nil || string(read) != got {
		t.Fatalf("read, it is %q: %v", read, err)
	}
}

// slow masks as the law says, in the plainest way: every form, wherever it begins.
// It knows nothing of line breaks.
func slow(secrets []string, text string) string {
	out := []byte(text)
	for _, s := range secrets {
		for form := range forms(s) {
			for i := range len(text) {
				if strings.HasPrefix(text[i:], form) {
					copy(out[i:], strings.Repeat("*", len(form)))
				}
			}
		}
	}
	return string(out)
}

func TestOnlyFormsAreMasked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.RuneFrom([]rune("ab1%"))
		secrets := rapid.SliceOfN(rapid.StringOfN(letters, 1, 6, -1), 0, 3).Draw(t, "secrets")
		text := rapid.StringOf(letters).Draw(t, "text")
		if got, want := pieces(t, New(secrets), text), slow(secrets, text); got != want {
			t.Fatalf("%q without %q is %q, want %q", text, secrets, got, want)
		}
	})
}

// A reader that comes in the middle, and comes back while the text grows, sees
// the bytes that one sees who reads all at the end.
func TestWindowsFitTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := secretOf(t)
		m := New([]string{secret})
		noise := rapid.StringOf(rapid.RuneFrom([]rune("ab\n")))
		text := ""
		for range rapid.IntRange(1, 4).Draw(t, "forms") {
			form, _ := encoders[rapid.SampledFrom(names).Draw(t, "form")](secret)
			text += noise.Draw(t, "noise") + form
		}
		want := m.String(text)
		from := int64(rapid.IntRange(0, len(text)).Draw(t, "from"))
		at, seen := from, ""
		for grown := 0; grown < len(text); {
			grown = max(grown+rapid.IntRange(1, len(text)-grown).Draw(t, "growth"), int(from))
			var out strings.Builder
			next, err := m.Window(&out, at, grown == len(text), func(from int64, w io.Writer) (int64, error) {
				if from >= int64(grown) {
					return from, nil
				}
				n, err := io.WriteString(w, text[from:grown])
				return from + int64(n), err
			})
			if err != nil || next != at+int64(out.Len()) {
				t.Fatalf("from %d to %d it gave %q: %v", at, next, out.String(), err)
			}
			at, seen = next, seen+out.String()
		}
		if !fits(seen, want[from:]) {
			t.Fatalf("from %d of %q it was %q, want %q", from, text, seen, want[from:])
		}
	})
}

// fits reports whether got is want, but for what was shown of a form because its
// line was complete.
func fits(got, want string) bool {
	for i := range len(got) {
		if i < len(want) && got[i] != want[i] && (want[i] != '*' || !strings.ContainsAny(want[i:min(i+shortest, len(want))], "\r\n")) {
			return false
		}
	}
	return len(got) == len(want)
}

// A complete line is shown, unless it ends with more of a form than a few letters.
func TestWindowShowsCompleteLines(t *testing.T) {
	m := New([]string{"hunter2 and some more words"})
	for text, reached := range map[string]int64{"epoch h": 6, "epoch hun\n": 10, "epoch hunt\n": 6, "epoch hunt": 6} {
		read := func(_ int64, w io.Writer) (int64, error) {
			n, err := io.WriteString(w, text)
			return int64(n), err
		}
		if n, err := m.Window(io.Discard, 0, false, read); err != nil || n != reached {
			t.Errorf("%q is shown up to %d, want %d: %v", text, n, reached, err)
		}
		if n, err := m.Window(io.Discard, 0, true, read); err != nil || n != int64(len(text)) {
			t.Errorf("once it has ended %q is shown up to %d: %v", text, n, err)
		}
	}
}

// Long texts: the context that is read in front of an offset is enough.
func TestWindowsFarInside(t *testing.T) {
	secret := strings.Repeat("0123456789abcdef", 300)
	wrapped := strings.Join(strings.SplitAfter(secret, "7"), "\r\n")
	text := strings.Repeat("x", 3*Before) + secret + strings.Repeat("y\n", Before) + wrapped + "end"
	m := New([]string{secret})
	want := m.String(text)
	if strings.Contains(want, "789abcdef") {
		t.Fatalf("it shows: %q", want)
	}
	for from := 0; from < len(text); from += 997 {
		var out strings.Builder
		read := func(from int64, w io.Writer) (int64, error) {
			n, err := io.WriteString(w, text[from:])
			return from + int64(n), err
		}
		if _, err := m.Window(&out, int64(from), true, read); err != nil || out.String() != want[from:] {
			t.Fatalf("from %d it is not the same: %v", from, err)
		}
	}
}

// A text that was cut is read on at its present end.
func TestWindowOfACutText(t *testing.T) {
	for offset, length := range map[int64]int64{5: 3, 5 * Before: 4*Before + 7, 5*Before + 1: 3} {
		n, err := New([]string{"secret"}).Window(io.Discard, offset, false, func(from int64, w io.Writer) (int64, error) {
			if from > length {
				return length, nil
			}
			_, err := io.CopyN(w, zeros{}, length-from)
			return length, err
		})
		if err != nil || n != length {
			t.Errorf("at %d of %d it reached %d: %v", offset, length, n, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestCases(t *testing.T) {
	key := "-----BEGIN KEY-----\nAAAAB3NzaC1yc2EAAAADAQABAAABgQDJ\nshort\n-----END KEY-----\n"
	for _, c := range []struct{ name, secret, text, want string }{
		{"as it is", "hunter2", "pass hunter2!", "pass *******!"},
		{"twice", "hunter2", "hunter2hunter2", "**************"},
		{"overlapping itself", "abab", "xababab", "x******"},
		{"short ones as they are", "ab", "ab 6162 YWI=", "** 6162 YWI="},
		{"nothing to hide", " \n", " a\n", " a\n"},
		{"not whole", "hunter2", "hunter", "hunter"},
		{"with its newline lost", "hunter2\n", "hunter2.", "*******."},
		{"broken by a newline of its own", "ab\ncd", "ab\ncd ab\r\ncd abcd", "**\n** **\r\n** ****"},
		{"broken elsewhere", "abcd", "ab\ncd a\n\n\n\n\nbcd", "**\n** a\n\n\n\n\nbcd"},
		{"a key line by line", key, "  AAAAB3NzaC1yc2EAAAADAQABAAABgQDJ\n  short\n", "  ********************************\n  short\n"},
		{"in shell quotes", "it's", `+ curl 'it'\''s'`, `+ curl '*******'`},
		{"as PHP has it", "a/b/é", `"a\/b\/\u00e9"`, `"************"`},
		{"a pair of surrogates", "key\U0001f680", `\ud83d key\ud83d\ude80`, `\ud83d ***************`},
	} {
		if got := New([]string{c.secret}).String(c.text); got != c.want {
			t.Errorf("%s: %q became %q, want %q", c.name, c.text, got, c.want)
		}
	}
}

func TestOneSecretInsideAnother(t *testing.T) {
	if got := New([]string{"ab", "xabc", "bcd"}).String("xabx xabc bcd abcd"); got != "x**x **** *** ****" {
		t.Errorf("got %q", got)
	}
}

// base64 and openssl break lines; so does whoever prints a key in a document.
func TestWrappedForms(t *testing.T) {
	secret := strings.Repeat("correct horse battery staple ", 8)
	for _, width := range []int{3, 60, 64, 76} {
		for _, newline := range []string{"\n", "\r\n"} {
			whole := base64.StdEncoding.EncodeToString([]byte("x" + secret + "y"))
			var lines []string
			for rest := whole; rest != ""; rest = rest[min(width, len(rest)):] {
				lines = append(lines, rest[:min(width, len(rest))])
			}
			got := New([]string{secret}).String(strings.Join(lines, newline))
			if inner := strings.Trim(strings.ReplaceAll(got, newline, "")[2:], "*"); len(inner) > 4 || strings.Count(got, newline) != len(lines)-1 {
				t.Errorf("wrapped at %d it is %q", width, got)
			}
		}
	}
}

func TestLittleIsKeptBack(t *testing.T) {
	m := New([]string{"hunter2 and some more words"})
	for text, held := range map[string]int{
		"epoch h": 1, "epoch x\n": 0, "hunter2 and some more words": 0, "hunter2 and some\n": 17, "hunter2 and some\n\n\n\n\n": 0,
	} {
		w := m.Writer(io.Discard)
		if _, err := io.WriteString(w, text); err != nil || w.Held() != held {
			t.Errorf("of %q %d bytes are kept back, want %d: %v", text, w.Held(), held, err)
		}
	}
}

func TestWriterPassesErrorsOn(t *testing.T) {
	w := New([]string{"secret"}).Writer(closed{})
	if _, err := io.WriteString(w, "text"); err == nil {
		t.Error("the error of the writer behind was lost")
	}
	if _, err := io.ReadAll(New([]string{"secret"}).Reader(iotest.ErrReader(io.ErrUnexpectedEOF))); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func FuzzMask(f *testing.F) {
	f.Add("hunter2", "pass hunter2 and 68756e74657232\n", uint8(3))
	f.Add("a\nb\"c", `{"x": "a\nb\"c"}`, uint8(1))
	f.Add("aaaa", "aaaaaaaaaaaaaaaaaaaaaaaaa", uint8(2))
	f.Add("\xff\xfe\x00\x01", "\xff\xfe\x00\x01 //4AAQ==", uint8(7))
	f.Fuzz(func(t *testing.T, secret, text string, portion uint8) {
		m := New([]string{secret})
		var out bytes.Buffer
		w := m.Writer(&out)
		for rest := []byte(text); len(rest) > 0; {
			n := min(int(portion)+1, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := out.String()
		if got != m.String(text) || len(got) != len(text) {
			t.Fatalf("%q became %q and %q", text, got, m.String(text))
		}
		for form := range forms(secret) {
			if len(form) <= longest && !strings.ContainsAny(form, "\r\n*") && strings.Contains(got, form) {
				t.Fatalf("%q shows in %q", form, got)
			}
		}
	})
}

func BenchmarkWriter(b *testing.B) {
	line := strings.Repeat("epoch 3 loss 0.5 accuracy 0.94 some words YWJjZGVm 616263\n", 1000)
	w := New([]string{"wandb-0123456789abcdef0123456789abcdef01234567"}).Writer(io.Discard)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		_, _ = io.WriteString(w, line)
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{40, 4 << 10, 64 << 10} {
		secret := strings.Repeat("0123456789abcdef+/\n", n/19+1)[:n]
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				New([]string{secret})
			}
		})
	}
}

// Of a text whose middle is left out fewer bytes come than the offsets say. The
// offset that is reached is that of the text, so that nobody reads the end for ever.
func TestWindowOverWhatIsLeftOut(t *testing.T) {
	m := New([]string{"secret"})
	read := func(_ int64, w io.Writer) (int64, error) {
		_, err := io.WriteString(w, "begin\n[900 bytes are left out]\nthe secret end\nsec")
		return 950, err
	}
	for ended, want := range map[bool]int64{true: 950, false: 947} {
		var w strings.Builder
		reached, err := m.Window(&w, 0, ended, read)
		if reached != want || err != nil || !strings.Contains(w.String(), "the ****** end\n") {
			t.Errorf("ended %v: got %q up to %d, %v", ended, w.String(), reached, err)
		}
	}
}
