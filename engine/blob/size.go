package blob

import (
	"os"

	"github.com/amlflow/amlflow/workers/target"
)

// Size is how many bytes the content of ref has, of a file; 0 when it is not here.
func (s Folder) Size(ref target.Ref) int64 {
	info, err := os.Stat(s.path(ref))
	if err != nil {
		return 0
	}
	return info.Size()
}
