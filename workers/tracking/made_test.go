package tracking

import "testing"

func TestWhereTheContentOfAVersionIs(t *testing.T) {
	m := Made{logged: Logged{Registered: []Registered{{Name: "wine", Version: 1, Source: "models:/m-1f"}, {Name: "copy", Version: 1, Source: "models:/wine/1"}, {Name: "loop", Version: 1, Source: "models:/loop/1"}}}}
	for source, want := range map[string]string{
		"models:/m-1f":                               "models/m-1f",
		"models:/copy/1":                             "models/m-1f",
		"models:/loop/1":                             "",
		"models:/absent/3":                           "",
		"runs:/ab12/sub/model":                       "runs/ab12/sub/model",
		"mlflow-artifacts:/runs/ab12/model":          "runs/ab12/model",
		"mlflow-artifacts://127.0.0.1/models/m-2/":   "models/m-2",
		"file:///j/tracked/0/ab12/artifacts/model":   "runs/ab12/model",
		"file:///j/tracked/0/models/m-3/artifacts":   "models/m-3",
		"file:///j/tracked/0/models/m-3/artifacts/x": "models/m-3/x",
		"s3://bucket/model":                          "",
		"prompt-template":                            "",
	} {
		if got := m.place(source, len(m.logged.Registered)); got != want {
			t.Errorf("%q is in %q and not in %q", source, got, want)
		}
	}
}
