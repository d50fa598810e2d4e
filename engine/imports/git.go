package imports

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience bounds one call of git, and maxOutput what it may say.
const (
	patience  = 2 * time.Minute
	maxOutput = 96 << 20
)

// repository is what was fetched of one address, in a folder that is removed later.
// Nothing is ever checked out of it: files are read out one by one.
type repository struct {
	url  string
	dir  string            // "" until something was fetched
	tips map[string]string // the commits of refs/tags/… and refs/heads/…; nil until asked
	have map[string]bool   // commits
	conf []byte            // the config of dir, as it was made
}

// git runs git with nothing of the user's that could run a program of a stranger's
// choice: no hooks, no monitor of files, and no protocol besides the one that was
// asked for. Its config stays in force where it says how to log in.
func (r *repository) git(ctx context.Context, in io.Reader, out io.Writer, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fixed := []string{"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.attributesFile=/dev/null", "-c", "protocol.allow=never", "-c", "protocol.version=2",
		"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false", "-c", "fetch.writeCommitGraph=false"}
	for _, p := range r.protocols() {
		fixed = append(fixed, "-c", "protocol."+p+".allow=always")
	}
	c := exec.CommandContext(ctx, "git", append(fixed, args...)...)
	c.Dir, c.Env, c.Stdin = os.TempDir(), r.environ(os.Environ()), in
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // its helpers end with it, and none can ask at the terminal
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
	var words tail
	limited := &bounded{to: out, left: maxOutput, full: cancel}
	c.Stdout, c.Stderr = limited, &words
	err := c.Run()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, exec.ErrNotFound):
		return errors.New("git is not installed")
	case limited.left < 0:
		return fmt.Errorf("git says more than %d MiB", maxOutput>>20)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("git did not end within %s", patience)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fmt.Errorf("git: %s", first(words.String(), err.Error()))
}

// protocols are those that this address may lead to: the user's config may turn https
// into ssh, and back.
func (r *repository) protocols() []string {
	if strings.HasPrefix(r.url, "file://") {
		return []string{"file"}
	}
	return []string{"https", "ssh"}
}

// kept are the variables of git that say how to log in or whom to trust. All others
// would have it work on another repository, or in another way.
var kept = regexp.MustCompile(`^GIT_(ASKPASS|SSH|SSH_COMMAND|SSH_VARIANT|SSL_[A-Z]+|PROXY_SSL_[A-Z]+|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_[0-9]+|VALUE_[0-9]+)|EXEC_PATH)$`)

func (r *repository) environ(user []string) []string {
	local := slices.Equal(r.protocols(), []string{"file"})
	var env []string
	for _, kv := range user {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "GIT_") && (local || !kept.MatchString(name)) || name == "LC_ALL" || name == "LANGUAGE" {
			continue
		}
		env = append(env, kv)
	}
	env = append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GCM_INTERACTIVE=never", "SSH_ASKPASS_REQUIRE=never", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL="+strings.Join(r.protocols(), ":"))
	if local {
		return append(env, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	}
	return env
}

// names asks once which tags and branches there are.
func (r *repository) names(ctx context.Context) (map[string]string, error) {
	if r.tips != nil {
		return r.tips, nil
	}
	var out bytes.Buffer
	if err := r.git(ctx, nil, &out, "ls-remote", "--quiet", "--heads", "--tags", "--", r.url); err != nil {
		return nil, err
	}
	r.tips = map[string]string{}
	for line := range strings.Lines(out.String()) {
		commit, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		name, peeled := strings.CutSuffix(name, "^{}") // what an annotated tag stands for
		if _, said := r.tips[name]; isHex(commit) && (peeled || !said) {
			r.tips[name] = commit
		}
	}
	return r.tips, nil
}

func isHex(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// fetch brings a commit and what it holds, except for files that are too large. Name
// is a tag or branch that leads to it, or "".
func (r *repository) fetch(ctx context.Context, cache, commit, name string) error {
	if r.have[commit] {
		return nil
	}
	if err := r.open(ctx, cache, len(commit)); err != nil {
		return err
	}
	filter := fmt.Sprintf("--filter=blob:limit=%d", maxFile+1)
	fetch := func(what string, more ...string) error {
		args := append([]string{"--git-dir=" + r.dir, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", filter}, more...)
		err := r.git(ctx, nil, io.Discard, append(args, "--", r.url, "+"+what+":refs/amlflow/"+commit)...)
		if err != nil {
			return err
		}
		return r.git(ctx, nil, io.Discard, "--git-dir="+r.dir, "cat-file", "-e", commit+"^{commit}")
	}
	err := fetch(commit, "--depth=1")
	if err != nil && name != "" { // some servers give only what has a name
		err = fetch(name, "--depth=1")
		if err != nil {
			err = fetch(name)
		}
	}
	if err != nil {
		return err
	}
	r.have[commit] = true
	// Git has noted that it may fetch what is missing one by one, whenever it is
	// asked for: what was left out stays out.
	return os.WriteFile(filepath.Join(r.dir, "config"), r.conf, 0o600)
}

// open makes the folder that is fetched into.
func (r *repository) open(ctx context.Context, cache string, digits int) error {
	if r.dir != "" {
		return nil
	}
	tmp := filepath.Join(cache, "tmp")
	if err := os.MkdirAll(tmp, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(tmp, "git-")
	if err != nil {
		return err
	}
	form := "sha1"
	if digits == 64 {
		form = "sha256"
	}
	if err := r.git(ctx, nil, io.Discard, "init", "--quiet", "--bare", "--template=", "--object-format="+form, "--", dir); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	r.dir, r.have = dir, map[string]bool{}
	r.conf, err = os.ReadFile(filepath.Join(dir, "config"))
	return err
}

// thing is one line of a folder in a commit.
type thing struct {
	mode, kind, id, name string
}

// list gives what a folder holds, with all below it when deep. Links are not followed.
func (r *repository) list(ctx context.Context, commit, folder string, deep bool) ([]thing, error) {
	tree := commit + "^{tree}"
	if folder != "." {
		tree = commit + ":" + folder
	}
	args := []string{"--git-dir=" + r.dir, "ls-tree", "-z", "--full-tree"}
	if deep {
		args = append(args, "-r")
	}
	var out bytes.Buffer
	if err := r.git(ctx, nil, &out, append(args, tree)...); err != nil {
		return nil, err
	}
	var all []thing
	for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\x00"), "\x00") {
		about, name, _ := strings.Cut(line, "\t")
		if f := strings.Fields(about); len(f) == 3 {
			all = append(all, thing{f[0], f[1], f[2], name})
		}
	}
	return all, nil
}

// read passes on the contents of files, one after another.
func (r *repository) read(ctx context.Context, files []thing, each func(f thing, size int64, content io.Reader) error) error {
	var ids strings.Builder
	for _, f := range files {
		ids.WriteString(f.id + "\n")
	}
	from, to := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := r.git(ctx, strings.NewReader(ids.String()), to, "--git-dir="+r.dir, "cat-file", "--batch")
		to.CloseWithError(err)
		done <- err
	}()
	err := readBatch(bufio.NewReader(from), files, each)
	from.CloseWithError(errors.New("enough"))
	if gitErr := <-done; err == nil {
		return gitErr
	}
	return err
}

// readBatch understands what cat-file --batch says.
func readBatch(from *bufio.Reader, files []thing, each func(thing, int64, io.Reader) error) error {
	for _, f := range files {
		head, err := from.ReadString('\n')
		if err != nil {
			return err
		}
		words := strings.Fields(head)
		if len(words) == 2 && words[1] == "missing" { // it was not fetched
			return fmt.Errorf("%q has more than %d MiB", f.name, maxFile>>20)
		}
		if len(words) != 3 || words[0] != f.id || words[1] != "blob" {
			return fmt.Errorf("git says %q of %q", strings.TrimSpace(head), f.name)
		}
		size, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil {
			return err
		}
		content := io.LimitReader(from, size)
		if err := each(f, size, content); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return err
		}
		if _, err := from.Discard(1); err != nil { // the line end behind it
			return err
		}
	}
	return nil
}

// bounded stops git when it says too much.
type bounded struct {
	to   io.Writer
	left int64
	full func()
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		b.full()
		return 0, errors.New("too much")
	}
	return b.to.Write(p)
}

// tail keeps the end of what git has to say about an error.
type tail struct{ text []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	if over := len(t.text) - 4096; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

var login = regexp.MustCompile(`://[^@/\s]*@`)

// String is the last line that says something, without what could be a password or
// steer a terminal.
func (t *tail) String() string {
	last := ""
	for line := range strings.Lines(string(t.text)) {
		line = strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
				return -1
			}
			return r
		}, line)
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "fatal:") || strings.HasPrefix(line, "error:") || last == "" {
			last = line
		}
	}
	return login.ReplaceAllString(last[:min(len(last), 400)], "://…@")
}
