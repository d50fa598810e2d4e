package rigs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
)

// Registry is a registry of images, as far as engines that pull need it (OCI
// Distribution, "Pulling manifests" and "Pulling blobs"). Serve it at Engine.Registry.
type Registry struct {
	// User and Password are what it wants to be told; empty: it answers everybody.
	User, Password string

	mu    sync.Mutex
	blobs map[string][]byte // by digest, manifests too
	tags  map[string]string // digests of manifests, by NAME:TAG
	asked int               // how often for a manifest
}

// manifestType is the type of the one that a tag leads to.
const manifestType = "application/vnd.docker.distribution.manifest.v2+json"

// Push makes an image of the files that fill writes, and a tag lead to it. It returns the
// digest by which the image is found from then on, whatever becomes of the tag.
func (r *Registry) Push(name, tag string, fill func(*tar.Writer) error) (digest string, err error) {
	var layer, packed bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := fill(w); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(layer.Bytes()); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digestOf(layer.Bytes())}},
	})
	if err != nil {
		return "", err
	}
	entry := func(kind string, content []byte) map[string]any {
		return map[string]any{"mediaType": "application/vnd.docker." + kind, "size": len(content), "digest": digestOf(content)}
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": entry("container.image.v1+json", config),
		"layers": []any{entry("image.rootfs.diff.tar.gzip", packed.Bytes())},
	})
	if err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.blobs == nil {
		r.blobs, r.tags = map[string][]byte{}, map[string]string{}
	}
	for _, content := range [][]byte{packed.Bytes(), config, manifest} {
		r.blobs[digestOf(content)] = content
	}
	r.tags[name+":"+tag] = digestOf(manifest)
	return digestOf(manifest), nil
}

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

// Asked is how often somebody has asked for a manifest.
func (r *Registry) Asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if user, password, _ := q.BasicAuth(); user != r.User || password != r.Password {
		w.Header().Set("WWW-Authenticate", `Basic realm="images"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
		return
	}
	parts := strings.Split(strings.Trim(q.URL.Path, "/"), "/")
	n := len(parts)
	if n == 1 { // /v2/
		return
	}
	if n < 4 {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "repository name not known to registry")
		return
	}
	digest, kind := parts[n-1], "application/octet-stream"
	if parts[n-2] == "manifests" {
		r.asked++
		kind = manifestType
		if tagged, ok := r.tags[strings.Join(parts[1:n-2], "/")+":"+digest]; ok {
			digest = tagged
		}
	}
	content, ok := r.blobs[digest]
	if !ok {
		refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Docker-Content-Digest", digest)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content) // of HEAD, the server sends none of it
}

// refuse answers as registries do.
func refuse(w http.ResponseWriter, status int, code, words string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, words)
}
