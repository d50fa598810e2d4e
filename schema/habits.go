package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// habits say, for keys that people know from other tools, how the same is written
// here. They are found by the part of the file, a definition of the schema or the
// kind of file, and by the key in small letters without "_" and "-".
var habits = map[string]map[string]string{
	"pipeline": spread(map[string]string{
		"name":                             "the name is said by `pipeline: NAME`",
		"version apiversion":               "the version is said by `amlflow: v1`",
		"jobs tasks steps nodes":           "write `stages:`",
		"parameters arguments args":        "write `params:`",
		"vars variables":                   "write `params:`, or `env:` in a stage",
		"on trigger triggers":              "leave it out: a run is started by `amlflow run`",
		"targets profiles engine store":    "it belongs into the workspace's file, amlflow.yaml",
		"onexit onfailure always teardown": "write `finally:`",
	}),
	"stage": spread(map[string]string{
		"runson queue compute host machine runner nodeselector": "write `target: NAME`",
		"depends dependson dependencies after requires":         "write `needs: [STAGE]`",
		"when condition only":                                   "write `if: ${{ … }}`",
		"retries maxretries retrystrategy maxattempts":          "write `retry: { attempts: N }`",
		"timeoutminutes timeoutseconds activedeadlineseconds":   "write `timeout: 10m`",
		"workingdirectory workingdir workdir cwd":               "write `code: FOLDER`",
		"script cmd shell bash exec entrypoint":                 "write `run: SCRIPT`",
		"steps":                                                 "write the commands below one another, behind `run: |`",
		"args arguments":                                        "write `command: [PROGRAM, ARGUMENT, …]`",
		"image container docker":                                "leave it out: a stage runs on its target, without a container",
		"name id":                                               "leave it out: the stage has the name that it stands under",
		"description desc label":                                "write a comment: # …",
		"ports port":                                            "leave it out: a deployment listens on $PORT",
		"params parameters":                                     "params belong to the whole pipeline: write them at the top of the file",
		"withitems withparam withsequence foreach loop":         "write one stage for each, or loop inside the script",
		"continueonerror":                                       "write `if: ${{ always() }}` in the stages that go on",
		"artifacts":                                             "write `outputs: { NAME: folder }`",
	}),
	"resources": spread(map[string]string{
		"ram mem":                           "write `memory: 4Gi`",
		"cores vcpu vcpus":                  "write `cpus: N`",
		"instances workers replicas":        "write `nodes: N`",
		"requests limits":                   "write `cpus` and `memory` directly here",
		"nvidia.com/gpu accelerators cuda ": "leave it out: a local stage sees what the computer has",
	}),
	"retry": spread(map[string]string{
		"max maxattempts maxretries count limit times retries": "write `attempts: N`",
		"delay wait interval sleep":                            "write `backoff: 30s`",
		"when if retryon retrypolicy onexitcodes exitcodes":    "write `on: [lost]`",
	}),
	"deploy": spread(map[string]string{
		"replicas count scale":           "write `instances: N`",
		"port ports":                     "leave it out: `run` is told its port in $PORT",
		"name service":                   "write `endpoint: NAME`",
		"script entrypoint handler main": "write `score: FILE.py`",
		"command cmd":                    "write `run: SCRIPT`",
		"healthcheck readiness liveness": "write `health: /PATH`",
		"route url":                      "write `path: /PATH`",
		"timeout":                        "write `ready: 60s`",
	}),
	"param": spread(map[string]string{
		"min":                            "write `minimum: N`",
		"max":                            "write `maximum: N`",
		"choices options values allowed": "write `enum: [VALUE, …]`",
		"value":                          "write `default: VALUE`",
		"required optional":              "leave it out: a parameter without `default` must be given",
		"help doc":                       "write `description: TEXT`",
		"regex":                          "write `pattern: TEXT`",
	}),
	"workspace": spread(map[string]string{
		"name":            "the name is said by `workspace: NAME`",
		"server temporal": "write `engine: { address: HOST:PORT }`",
		"stages params":   "it belongs into a pipeline's file, NAME.pipeline.yaml",
	}),
}

// spread gives each of the words of a key its cure.
func spread(groups map[string]string) map[string]string {
	all := map[string]string{}
	for words, cure := range groups {
		for word := range strings.FieldsSeq(words) {
			all[word] = cure
		}
	}
	return all
}

var joints = strings.NewReplacer("_", "", "-", "")

// habit says how key is written in this part of the file, if other tools have it.
func habit(part, key string) string {
	return habits[part][joints.Replace(strings.ToLower(key))]
}

// works reports whether other tools use key for what a stage does.
func works(key string) bool {
	return slices.Contains([]string{"script", "cmd", "shell", "bash", "exec", "entrypoint", "steps", "args", "container"}, strings.ToLower(key))
}

// otherWords are values that other tools have for those of an enum.
var otherWords = map[string]string{"float": "number", "double": "number", "decimal": "number", "str": "string", "text": "string", "long": "integer",
	"dir": "folder", "directory": "folder", "array": "list", "path": "file"}

// foreign recognises files of other tools, by a key that they have and none of ours.
func (sh *shaper) foreign() diag.Findings {
	m := asMap(sh.source.Tree)
	if m == nil || m["amlflow"] != nil || m[sh.kind] != nil {
		return nil
	}
	key, what := "", ""
	switch {
	case m["jobs"] != nil && (m["on"] != nil || m["true"] != nil):
		key, what = "jobs", "a GitHub Actions workflow"
	case isText(m["apiVersion"]) && m["kind"] != nil:
		key, what = "apiVersion", "a manifest for Kubernetes"
	default:
		return nil
	}
	f := sh.source.finding(sh.source.KeyAt("/"+key), "other-file", fmt.Sprintf("this looks like %s, and a %s file is wanted", what, sh.kind),
		fmt.Sprintf("begin a %s file with \"amlflow: v1\" and \"%s: NAME\"; `amlflow init` writes one to start from", sh.kind, sh.kind))
	f.Path, f.Width = "/"+key, len(key)
	return diag.Findings{f}
}

var (
	looseTime = regexp.MustCompile(`(?i)^([0-9]+(?:\.[0-9]+)?) *(ms|s|m|h|d)(?:[a-z]*)$`)
	looseSize = regexp.MustCompile(`(?i)^([0-9]+(?:\.[0-9]+)?) *([kmgt])(i?)b?$`)
)

// mendTime makes "10m" of "10 minutes"; "" when it is not that.
func mendTime(text string) string {
	m := looseTime.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	unit := strings.ToLower(m[2])
	word := strings.ToLower(strings.TrimSpace(text[len(m[1]):]))
	for _, long := range []string{"milliseconds", "msecs", "seconds", "secs", "minutes", "mins", "hours", "hrs", "days"} {
		if word == long || word+"s" == long || word == unit {
			if unit == "m" && strings.HasPrefix(long, "mi") && strings.HasPrefix(word, "mil") {
				unit = "ms"
			}
			return m[1] + unit
		}
	}
	return ""
}

// mendSize makes "512M" of "512MB", and "16Gi" of "16 GiB"; "" when it is neither.
func mendSize(text string) string {
	m := looseSize.FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	unit := strings.ToUpper(m[2])
	if m[3] != "" {
		return m[1] + unit + "i"
	}
	return fmt.Sprintf("%s%s, or %s%si to count in powers of 1024", m[1], unit, m[1], unit)
}
