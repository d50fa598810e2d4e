package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"

	"github.com/amlflow/amlflow/workers/target"
)

// instanceVersion makes the test binary be an instance that answers as fast as it can;
// plainTarget makes it be the proxy of the standard library and nothing else, which
// says on its standard output where it listens.
const (
	instanceVersion = "INSTANCE_OF_TEST"
	plainTarget     = "PROXY_OF_TEST"
)

func beInstance(version string) {
	answer := fmt.Appendf(nil, `{"v": %s, "pid": %d, "data": `, version, os.Getpid())
	http.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ready") })
	http.HandleFunc("POST /score", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(append(answer[:len(answer):len(answer)], body...), '}'))
	})
	fmt.Println(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil)) //nolint:gosec // it lives as long as a test
	os.Exit(1)
}

func bePlainProxy(to string) {
	u, err := url.Parse(to)
	if err == nil {
		// As many connections are kept as the gateway keeps: two, which is the default,
		// would be no match.
		http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64
		l, listen := bindTo(0)
		if err = listen; err == nil {
			fmt.Printf("http://%s\n", l.Addr())
			err = http.Serve(l, httputil.NewSingleHostReverseProxy(u)) //nolint:gosec // it lives as long as a test
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// quick is a deployment that answers as fast as it can.
func (p *place) quick(id, version string) target.Deployment {
	p.Helper()
	d := script(p, id, "exec '"+strings.ReplaceAll(os.Args[0], "'", `'\''`)+"' -test.run='^$'\n")
	d.Env = map[string]string{instanceVersion: version}
	return d
}
