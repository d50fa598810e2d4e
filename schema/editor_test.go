package schema_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// languageServer is what editors run for YAML; the version is pinned, as what it
// makes of a schema changes.
const languageServer = "yaml-language-server@1.19.2"

// An editor with the YAML language server and our schemas as they are shows errors,
// completes keys and explains them, by the comment in a file and by its settings.
func TestEditor(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves out what needs npm; run `go test ./schema -run TestEditor`")
	}
	e := startEditor(t)
	const digits = "../specs/examples/digits/digits.pipeline.yaml"
	example := read(t, digits)
	t.Run("examples are silent", func(t *testing.T) {
		e.silent(t, digits, example)
		e.silent(t, "full.pipeline.yaml", withoutComment(read(t, "testdata/ok/full.yaml")))
		e.silent(t, "train.template.yaml", withoutComment(read(t, "testdata/ok/template-full.yaml")))
		e.silent(t, "../specs/examples/digits/amlflow.yaml", read(t, "../specs/examples/digits/amlflow.yaml"))
	})
	t.Run("by the comment", func(t *testing.T) {
		comment := "# yaml-language-server: $schema=" + fileURI(t, "pipeline.schema.json") + "\n"
		e.wrong(t, "any-name.yaml", comment+"amlflow: v1\npipeline: p\nstages:\n  a:\n    runn: echo\n", 5, "runn")
	})
	t.Run("by the settings", func(t *testing.T) {
		e.wrong(t, "wrong.pipeline.yaml", "amlflow: v1\npipeline: p\nstages:\n  a:\n    run: echo\n    tiemout: 5m\n", 5, "tiemout")
		e.wrong(t, "wrong.template.yaml", "amlflow: v1\ntemplate: t\nstages: {}\n", 2, "stages")
		e.wrong(t, "amlflow.yaml", "amlflow: v1\nworkspace: w\ntarget: {}\n", 2, "target")
	})
	t.Run("completion", func(t *testing.T) {
		e.completes(t, "keys.pipeline.yaml", "amlflow: v1\npipeline: p\nstages:\n  a:\n    run: echo\n    \n", 5, 4,
			"timeout", "matrix", "each", "until", "secrets", "environment", "cache", "concurrency", "inputs", "with")
		e.completes(t, "types.pipeline.yaml", "amlflow: v1\npipeline: p\nparams:\n  a:\n    type: \n", 4, 10, "string", "folder")
		e.completes(t, "top.pipeline.yaml", "amlflow: v1\n\n", 1, 0, "pipeline", "params", "stages", "finally", "defaults")
	})
	t.Run("hover", func(t *testing.T) {
		line := slices.IndexFunc(strings.Split(example, "\n"), func(l string) bool { return strings.HasPrefix(l, "    outputs:") })
		e.explains(t, digits, example, line, 6, "$AMLFLOW_OUTPUT_NAME")
	})
}

func withoutComment(text string) string {
	_, rest, _ := strings.Cut(text, "\n")
	return rest
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func fileURI(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

// installServer puts the language server into the user's cache, once.
func installServer(t *testing.T) string {
	t.Helper()
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("there is no npm for the YAML language server: install Node.js, for example with `apt-get install npm`")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = t.TempDir()
	}
	dir := filepath.Join(cache, "amlflow-test", languageServer)
	server := filepath.Join(dir, "node_modules", ".bin", "yaml-language-server")
	if _, err := os.Stat(server); err == nil {
		return server
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), npm, "install", "--no-audit", "--no-fund", "--prefix", fresh, languageServer).CombinedOutput(); err != nil {
		t.Skipf("npm cannot fetch the YAML language server; try `npm install %s`: %v\n%s", languageServer, err, out)
	}
	if err := os.Rename(fresh, dir); err != nil {
		server = filepath.Join(fresh, "node_modules", ".bin", "yaml-language-server") // another test was first
	}
	return server
}

// editor speaks the language server protocol, as an editor does, without a display.
type editor struct {
	in       io.Writer
	next     int
	settings map[string]any
	answers  chan message
	reports  map[string][]problem // the latest of each file
	version  map[string]int
}

type message struct {
	ID     json.RawMessage `json:"id,omitempty"`
	Method string          `json:"method,omitempty"`
	Params json.RawMessage `json:"params,omitempty"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  json.RawMessage `json:"error,omitempty"`
}

type problem struct {
	Message string `json:"message"`
	Range   struct {
		Start struct {
			Line      int `json:"line"`
			Character int `json:"character"`
		} `json:"start"`
	} `json:"range"`
}

func startEditor(t *testing.T) *editor {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), installServer(t), "--stdio")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	e := &editor{in: in, answers: make(chan message, 100), reports: map[string][]problem{}, version: map[string]int{}}
	e.settings = map[string]any{"validate": true, "hover": true, "completion": true, "schemaStore": map[string]any{"enable": false}, "schemas": map[string]any{
		fileURI(t, "pipeline.schema.json"): []string{"*.pipeline.yaml"}, fileURI(t, "template.schema.json"): []string{"*.template.yaml"}, fileURI(t, "workspace.schema.json"): []string{"amlflow.yaml"},
	}}
	go e.listen(bufio.NewReader(out))
	e.ask(t, "initialize", map[string]any{"processId": os.Getpid(), "rootUri": nil, "capabilities": map[string]any{
		"workspace":    map[string]any{"configuration": true, "didChangeConfiguration": map[string]any{}},
		"textDocument": map[string]any{"hover": map[string]any{"contentFormat": []string{"markdown"}}, "completion": map[string]any{"completionItem": map[string]any{"snippetSupport": true}}},
	}})
	e.send(t, message{Method: "initialized", Params: raw(map[string]any{})})
	e.send(t, message{Method: "workspace/didChangeConfiguration", Params: raw(map[string]any{"settings": map[string]any{"yaml": e.settings}})})
	return e
}

func raw(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// listen hands on what the server says.
func (e *editor) listen(out *bufio.Reader) {
	defer close(e.answers)
	for {
		length := 0
		for {
			line, err := out.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.TrimSpace(line); line == "" {
				break
			}
			if n, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				length, _ = strconv.Atoi(n)
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(out, body); err != nil {
			return
		}
		var m message
		if json.Unmarshal(body, &m) == nil {
			e.answers <- m
		}
	}
}

func (e *editor) send(t *testing.T, m message) {
	t.Helper()
	body := raw(struct {
		Version string `json:"jsonrpc"`
		message
	}{"2.0", m})
	if _, err := fmt.Fprintf(e.in, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
}

// until takes what the server says, and answers its questions, until done.
func (e *editor) until(t *testing.T, what string, done func(message) bool) {
	t.Helper()
	late := time.After(60 * time.Second)
	for {
		select {
		case <-late:
			t.Fatalf("the language server did not answer: %s", what)
		case m, ok := <-e.answers:
			if !ok {
				t.Fatalf("the language server has ended: %s", what)
			}
			if m.ID != nil && m.Method != "" {
				e.reply(t, m)
			}
			if done(m) {
				return
			}
		}
	}
}

// reply answers a question of the server: its settings, or nothing.
func (e *editor) reply(t *testing.T, m message) {
	t.Helper()
	result := raw(nil)
	if m.Method == "workspace/configuration" {
		var asked struct {
			Items []struct {
				Section string `json:"section"`
			} `json:"items"`
		}
		if err := json.Unmarshal(m.Params, &asked); err != nil {
			t.Fatal(err)
		}
		all := make([]any, len(asked.Items))
		for i, item := range asked.Items {
			if item.Section == "yaml" {
				all[i] = e.settings
			}
		}
		result = raw(all)
	}
	e.send(t, message{ID: m.ID, Result: result})
}

func (e *editor) ask(t *testing.T, method string, params any) json.RawMessage {
	t.Helper()
	e.next++
	id := raw(e.next)
	e.send(t, message{ID: id, Method: method, Params: raw(params)})
	var answer json.RawMessage
	e.until(t, method, func(m message) bool {
		if m.Method != "" || string(m.ID) != string(id) {
			return false
		}
		if m.Error != nil {
			t.Fatalf("%s: %s", method, m.Error)
		}
		answer = m.Result
		return true
	})
	return answer
}

// open shows the server a text, and returns the problems that it reports.
func (e *editor) open(t *testing.T, name, text string) (uri string, found []problem) {
	t.Helper()
	if uri = "file:///somewhere/" + name; strings.HasPrefix(name, "../") {
		uri = fileURI(t, name) // a file of its own, whose comment leads to a schema beside it
	}
	method, params := "textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": uri, "languageId": "yaml", "version": 1, "text": text}}
	e.version[uri]++
	if v := e.version[uri]; v > 1 {
		method = "textDocument/didChange"
		params = map[string]any{"textDocument": map[string]any{"uri": uri, "version": v}, "contentChanges": []any{map[string]any{"text": text}}}
	}
	e.send(t, message{Method: method, Params: raw(params)})
	e.until(t, "problems of "+name, func(m message) bool {
		var report struct {
			URI         string    `json:"uri"`
			Diagnostics []problem `json:"diagnostics"`
		}
		if m.Method != "textDocument/publishDiagnostics" || json.Unmarshal(m.Params, &report) != nil || report.URI != uri {
			return false
		}
		found = report.Diagnostics
		return true
	})
	return uri, found
}

func (e *editor) silent(t *testing.T, name, text string) {
	t.Helper()
	if _, found := e.open(t, name, text); len(found) > 0 {
		t.Errorf("%s: %v", name, found)
	}
}

// wrong wants a problem on a line, counted from 0, that names what is wrong.
func (e *editor) wrong(t *testing.T, name, text string, line int, word string) {
	t.Helper()
	_, found := e.open(t, name, text)
	if !slices.ContainsFunc(found, func(p problem) bool { return p.Range.Start.Line == line && strings.Contains(p.Message, word) }) {
		t.Errorf("%s: no problem about %q on line %d, but %v", name, word, line, found)
	}
}

func (e *editor) completes(t *testing.T, name, text string, line, column int, words ...string) {
	t.Helper()
	uri, _ := e.open(t, name, text)
	answer := e.ask(t, "textDocument/completion", at(uri, line, column))
	var list struct {
		Items []struct {
			Label string `json:"label"`
		} `json:"items"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		t.Fatal(err)
	}
	var labels []string
	for _, item := range list.Items {
		labels = append(labels, item.Label)
	}
	for _, word := range words {
		if !slices.Contains(labels, word) {
			t.Errorf("%s: %q is not proposed, but %v", name, word, labels)
		}
	}
}

func (e *editor) explains(t *testing.T, name, text string, line, column int, words string) {
	t.Helper()
	uri, _ := e.open(t, name, text)
	if answer := e.ask(t, "textDocument/hover", at(uri, line, column)); !strings.Contains(strings.ReplaceAll(string(answer), `\\`, ""), words) {
		t.Errorf("%s:%d: the hover text does not say %q: %s", name, line+1, words, answer)
	}
}

func at(uri string, line, column int) map[string]any {
	return map[string]any{"textDocument": map[string]any{"uri": uri}, "position": map[string]any{"line": line, "character": column}}
}
