package pyenv

import (
	"maps"
	"slices"
	"strings"
)

// pipNames are the variables by which pip, and what it starts, finds the network
// and its own files. They may hold passwords, so they never travel with a job.
var pipNames = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
	"NETRC", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_DIRS",
}

// elsewhere are settings of pip that would put packages into another place than
// the environment, or others into it.
var elsewhere = []string{"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN", "PIP_REQUIREMENT", "PIP_EDITABLE", "PIP_PYTHON", "PIP_LOG", "PIP_REPORT"}

// hostNames are the variables of the submitting shell that making starts from.
var hostNames = []string{"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ"}

// Environ is what venv and pip see: the host's part, then what only they need from
// own, the environment of this process as os.Environ gives it.
func Environ(host map[string]string, own []string) []string {
	env := map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin"}
	for _, kv := range own {
		name, value, _ := strings.Cut(kv, "=")
		if slices.Contains(pipNames, name) || strings.HasPrefix(name, "PIP_") || name == "HOME" {
			env[name] = value
		}
	}
	for name, value := range host {
		if slices.Contains(hostNames, name) || strings.HasPrefix(name, "LC_") {
			env[name] = value
		}
	}
	for _, name := range elsewhere {
		delete(env, name)
	}
	env["PIP_USER"] = "0" // also when pip's own file says otherwise
	env["GIT_TERMINAL_PROMPT"] = "0"
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// valueOf returns a variable of an environment.
func valueOf(env []string, name string) string {
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}
