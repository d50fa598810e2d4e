package schema

import "slices"

// BatchMetrics are what every batch reports, whether or not it declares them: items in
// all, those that gave a result, those that did not, mini-batches, and tries that were not
// the first.
var BatchMetrics = []string{"items", "scored", "failed", "batches", "retried"}

// batch reads what a stage scores. Its output and its metrics need not be declared.
func (s *Source) batch(st *Stage) {
	at := st.Path + "/batch"
	st.Batch = &Batch{
		Over: s.text(at + "/over"), Score: s.text(at + "/score"), Items: s.text(at + "/items"), Size: s.text(at + "/size"), Model: s.text(at + "/model"), Append: s.text(at + "/append"),
		Parallel: s.text(at + "/parallel"), Processes: s.text(at + "/processes_per_node"), Threshold: s.text(at + "/error_threshold"), Retries: max(s.integer(at+"/retries", 2), 0), Timeout: s.duration(at + "/timeout"),
	}
	if st.Batch.Append == "" {
		st.Batch.Append = "predictions.csv"
	}
	if len(st.Outputs) == 0 {
		st.Outputs = []Declared{{Name: "predictions", Type: Folder}}
	}
	for _, name := range BatchMetrics {
		if !slices.ContainsFunc(st.Metrics, func(d Declared) bool { return d.Name == name }) {
			st.Metrics = append(st.Metrics, Declared{Name: name, Type: Integer})
		}
	}
}
