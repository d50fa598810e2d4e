package plan_test

import (
	"strings"
	"testing"

	"github.com/amlflow/amlflow/engine/plan"
	"github.com/amlflow/amlflow/schema"
	"github.com/amlflow/amlflow/schema/diag"
	"github.com/amlflow/amlflow/workers/local"
	"github.com/amlflow/amlflow/workers/target"
)

// inner is the pipeline that every stage runs.
type inner string

func (i inner) Import(_, ref string, _ schema.Import) (string, []byte, schema.Import, *diag.Finding) {
	return ref, []byte(i), schema.Import{Key: ref}, nil
}

// Jobs of different stages must not have the same id, whatever the stages are called.
func TestJobsHaveIDsOfTheirOwn(t *testing.T) {
	long := strings.Repeat("n", 60)
	for text, want := range map[string]string{
		"  a: { pipeline: ./i }\n  a.1.x: { run: ok }\n":    `5:3: error: jobs of stage "a.1.x" could have the names of jobs in the pipeline that stage "a" runs`,
		"  a: { run: ok }\n  a.1.x: { run: ok }\n":          "",
		"  a: { pipeline: ./i }\n  a-1: { run: ok }\n":      "",
		"  " + long + long[:3] + ": { pipeline: ./long }\n": "lies so deep, in stages with such long names",
	} {
		p, fs := schema.ReadPipeline("p", []byte("amlflow: v1\npipeline: p\nstages:\n"+text))
		var im schema.Importer = inner("amlflow: v1\npipeline: i\nstages:\n  x: { run: ok }\n")
		if strings.Contains(text, "./long") {
			im = chain{long}
		}
		fs = append(fs, p.Link(im)...)
		fs = append(fs, schema.Check(p, schema.DefaultWorkspace(""), nil)...)
		if fs.Bad() {
			t.Fatal(fs)
		}
		_, fs = plan.Compile(p, schema.DefaultWorkspace(""), plan.Options{Drivers: map[string]target.Driver{"local": local.Driver{Dir: "unused"}}})
		got := fs.Error()
		if fs.Bad() != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// chain is a pipeline that runs a pipeline, each stage with a long name.
type chain struct{ name string }

func (c chain) Import(_, ref string, _ schema.Import) (string, []byte, schema.Import, *diag.Finding) {
	body := "  " + c.name + "y: { pipeline: ./last }\n"
	if ref == "./last" {
		body = "  " + c.name + "z: { run: ok }\n"
	}
	return ref, []byte("amlflow: v1\npipeline: i\nstages:\n" + body), schema.Import{Key: ref}, nil
}
