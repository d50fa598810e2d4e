package schema

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/amlflow/amlflow/schema/diag"
)

// FolderImporter finds files for Link in one folder. Beside is what lies beside the
// files that it finds; nil is nothing that is looked at.
type FolderImporter struct{ Files, Beside fs.FS }

// Import implements Importer.
func (f FolderImporter) Import(kind, ref string, from Import) (string, []byte, Import, *diag.Finding) {
	name := path.Join(from.Folder, ref)
	text, err := fs.ReadFile(f.Files, name)
	if err != nil {
		return "", nil, Import{}, &diag.Finding{Code: "missing-file", Message: fmt.Sprintf("there is no %s %q", kind, strings.TrimPrefix(ref, "./")), Hint: "make it, or correct the path"}
	}
	return name, text, Import{Key: name, Folder: path.Dir(name), Files: f.Beside}, nil
}
