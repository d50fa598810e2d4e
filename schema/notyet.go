package schema

import (
	"fmt"

	"github.com/amlflow/amlflow/schema/diag"
)

// later is a part of the language that this version knows and cannot do yet. It is
// reported as such, with what to do meanwhile: never ignored, never called unknown.
type later struct {
	what string
	cure string
}

// notYet lists the keys of the language that are to come, by the part of the file
// that they stand in: a definition of the schema, or the kind of file itself.
var notYet = map[string]map[string]later{
	"resources": {
		"disk": {what: "disk space", cure: "leave it out"},
	},
	"pipeline": {
		"templates": {what: "templates inside a pipeline's file", cure: "write each into a file of its own, NAME.template.yaml, and use it with `uses: ./NAME.template.yaml`"},
		"matrix":    {what: "a matrix of runs", cure: "give the matrix to a stage"},
	},
	"environment": {
		"conda": {what: "conda environments", cure: "use `python: { packages: […] }`, or an image"},
	},
	"workspace": {
		"policies": {what: "policies", cure: "leave it out"},
	},
}

// named is what the finding calls the key.
func (l later) named(key string) string {
	if l.what == key {
		return fmt.Sprintf("%q", key)
	}
	return fmt.Sprintf("%q (%s)", key, l.what)
}

// kindsToCome are kinds of target that the language has and no driver serves yet.
var kindsToCome = []string{"kubernetes", "azureml", "azure-batch", "databricks", "hdinsight", "aci", "iot-edge"}

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
