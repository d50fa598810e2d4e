package schema

import (
	"fmt"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// later is a part of the language that this version knows and cannot do yet. It is
// reported as such, with what to do meanwhile: never ignored, never called unknown.
type later struct {
	what string
	cure string
	kind bool // it is what a stage does, instead of run, command or deploy
}

// notYet lists the keys of the language that are to come, by the part of the file
// that they stand in: a definition of the schema, or the kind of file itself.
var notYet = map[string]map[string]later{
	"stage": {
		"sweep":         {what: "hyperparameter tuning", cure: "write one stage for each setting, and compare their metrics"},
		"batch":         {what: "batch scoring", cure: "score the folder in a `run` stage"},
		"approve":       {what: "waiting for a person", cure: "end the pipeline here, and put what follows into a second one", kind: true},
		"pipeline":      {what: "running a pipeline inside a stage", cure: "write its stages into this file", kind: true},
		"uses":          {what: "templates", cure: "write the template's stage out here", kind: true},
		"with":          {what: "templates and nested pipelines", cure: "write the stage out here"},
		"matrix":        {what: "a matrix of stages", cure: "write one stage for each combination"},
		"each":          {what: "one stage for each item of a list", cure: "loop inside the script"},
		"parallel":      {what: "one stage for each item of a list", cure: "loop inside the script"},
		"until":         {what: "repeating a stage until something holds", cure: "loop inside the script, or use `retry`"},
		"launch":        {what: "launchers", cure: "set the process group up in the script, from RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT"},
		"checkpoint":    {what: "checkpoints", cure: "save to an output and read it back as an input"},
		"environment":   {what: "environments", cure: "make the environment on the target, or in the script"},
		"secrets":       {what: "secrets", cure: "let the script read them from a file on the target"},
		"queue_timeout": {what: "a bound on waiting for a place", cure: "bound the whole attempt with `timeout`"},
		"cache":         {what: "reusing results of earlier runs", cure: "leave it out: every stage runs"},
		"concurrency":   {what: "limits on how many run at once", cure: "leave it out, or order the stages with `needs`"},
	},
	"deploy": {
		"canary":     {what: "shifting traffic step by step", cure: "leave it out: traffic moves when the sample is answered"},
		"mirror":     {what: "mirrored traffic", cure: "deploy to a second endpoint and send it requests yourself"},
		"rollback":   {what: "rolling back on its own", cure: "leave it out: the old version stays when the new one does not get ready"},
		"strategy":   {what: "strategies for an update", cure: "leave it out: the old version serves until the new one is ready"},
		"traffic":    {what: "split traffic", cure: "deploy to two endpoints"},
		"autoscale":  {what: "scaling on its own", cure: "write a number of `instances`"},
		"auth":       {what: "keys for endpoints", cure: "leave it out: endpoints answer on this computer only"},
		"monitor":    {what: "watching an endpoint", cure: "read `amlflow endpoint logs`"},
		"limits":     {what: "limits on requests", cure: "leave it out"},
		"concurrent": {what: "limits on requests", cure: "leave it out"},
	},
	"resources": {
		"gpus": {what: "GPUs", cure: "leave it out; a local stage sees what the computer has"},
		"gpu":  {what: "GPUs", cure: "leave it out; a local stage sees what the computer has"},
		"disk": {what: "disk space", cure: "leave it out"},
	},
	"pipeline": {
		"templates":   {what: "templates", cure: "write the stages out here"},
		"schedule":    {what: "schedules", cure: "start the run from cron"},
		"matrix":      {what: "a matrix of runs", cure: "start one run for each combination"},
		"concurrency": {what: "limits on how many run at once", cure: "leave it out"},
		"secrets":     {what: "secrets", cure: "let the scripts read them from a file on the target"},
		"environment": {what: "environments", cure: "make the environment on the target"},
		"cache":       {what: "reusing results of earlier runs", cure: "leave it out: every stage runs"},
	},
	"workspace": {
		"secrets":   {what: "secrets", cure: "let the scripts read them from a file on the target"},
		"policies":  {what: "policies", cure: "leave it out"},
		"templates": {what: "templates", cure: "write the stages out in the pipeline"},
	},
}

// namesToCome are names of expressions that belong to what is to come.
var namesToCome = map[string]string{"matrix": "a matrix of stages", "each": "one stage for each item of a list", "trial": "hyperparameter tuning", "endpoint": "watching an endpoint", "outputs": "repeating a stage until something holds", "secrets": "secrets", "env": "environment variables in expressions"}

// named is what the finding calls the key.
func (l later) named(key string) string {
	if l.what == key {
		return fmt.Sprintf("%q", key)
	}
	return fmt.Sprintf("%q (%s)", key, l.what)
}

// kindsToCome are kinds of target that the language has and no driver serves yet.
var kindsToCome = []string{"cluster", "ssh", "docker", "slurm", "kubernetes", "azureml", "azure-batch", "databricks", "hdinsight", "aci", "iot-edge"}

// comingKey says whether key is to come in this part of the file.
func comingKey(part, key string) (later, bool) {
	l, ok := notYet[part][key]
	return l, ok
}

// coming reports something of the language that this version does not have.
func (s *Source) coming(at diag.Pos, path string, width int, what, cure string) diag.Finding {
	f := s.finding(at, "not-yet", fmt.Sprintf("the language has %s, but this version of amlflow does not have it yet", what), cure)
	f.Path, f.Width = path, width
	return f
}

// comingValue recognises values that are to come, where shape would call them wrong.
func comingValue(path string, given any) (what, cure string, ok bool) {
	if m, isMap := given.(map[string]any); isMap && strings.HasSuffix(path, "/target") && m["any_of"] != nil {
		return "`any_of` targets", "write the names as a list, in order of preference", true
	}
	text, _ := given.(string)
	switch {
	case text == "preempted" && strings.Contains(path, "/retry/on/"):
		return `the cause "preempted"`, `write "lost", which covers a machine that goes away`, true
	case strings.HasPrefix(path, "/params/") && strings.HasSuffix(path, "/type") && Type(text).IsArtifact():
		return fmt.Sprintf("parameters of type %q", text), "use a `string` with a path, or make the data in a first stage", true
	}
	return "", "", false
}
