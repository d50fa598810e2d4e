package target

import (
	"regexp"
	"strings"
)

// Ref names the content of an artifact by its digest: "sha256:" and 64 hex
// digits for the bytes of a file, "tree:sha256:" and the digest of a manifest
// for a folder. See PutTree.
type Ref string

const treePrefix = "tree:"

// IsTree reports whether r names a folder.
func (r Ref) IsTree() bool { return strings.HasPrefix(string(r), treePrefix) }

// Blob returns the name of the content behind r: of the manifest for a folder,
// r itself for a file.
func (r Ref) Blob() Ref { return Ref(strings.TrimPrefix(string(r), treePrefix)) }

// Hex returns the digest's hex digits.
func (r Ref) Hex() string { return string(r[strings.LastIndexByte(string(r), ':')+1:]) }

var refPattern = regexp.MustCompile(`^(tree:)?sha256:[0-9a-f]{64}$`)

// Valid reports whether r is written as a name of content.
func (r Ref) Valid() bool { return refPattern.MatchString(string(r)) }

// namePattern admits what may become part of a path anywhere.
var namePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// ValidID reports whether id may name a job or a deployment.
func ValidID(id string) bool { return len(id) <= 200 && namePattern.MatchString(id) }

// EnvName returns the environment variable for name, such as
// EnvName("AMLFLOW_INPUT_", "train-data") = "AMLFLOW_INPUT_TRAIN_DATA".
func EnvName(prefix, name string) string {
	return prefix + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, name)
}
