package ssh

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/amlflow/amlflow/workers/secrets"

	"github.com/kevinburke/ssh_config"
)

// hop is one machine to log in to.
type hop struct {
	User       string
	Host       string
	Port       int
	Identities []string // private keys, absolute; empty: the agent and the usual ones
	Explicit   bool     // the keys were named by the target: no others are tried
}

func (h hop) address() string { return net.JoinHostPort(h.Host, strconv.Itoa(h.Port)) }

func (h hop) String() string { return h.User + "@" + h.address() }

// route is the way to a machine: the jump hosts, then itself.
type route struct {
	Hops       []hop
	KnownHosts []string // files, absolute
	Passphrase *secrets.Setting
	Password   *secrets.Setting
}

func (r route) last() hop { return r.Hops[len(r.Hops)-1] }

// key names the way; it holds no secret.
func (r route) key() string {
	text, _ := json.Marshal(r) // strings and numbers: nothing can fail
	return string(text)
}

// route finds the way to a host: what the host says itself, then what the target says,
// then what ~/.ssh/config says.
func (s settings) route(name string) (route, error) {
	config, err := readConfig()
	if err != nil {
		return route{}, err
	}
	last, err := s.hop(config, name)
	if err != nil {
		return route{}, err
	}
	alias := split(name).host
	jumps := s.Jump
	if len(jumps) == 0 {
		if said := config.get(alias, "ProxyJump"); said != "" && said != "none" {
			jumps = strings.Split(said, ",")
		}
	}
	if said := config.get(alias, "ProxyCommand"); said != "" && said != "none" && len(jumps) == 0 {
		return route{}, fmt.Errorf("~/.ssh/config has a ProxyCommand for it, which amlflow does not run: name the machines on the way as `jump` of the target")
	}
	r := route{Passphrase: s.Passphrase, Password: s.Password}
	for _, j := range jumps {
		h, err := s.hop(config, strings.TrimSpace(j))
		if err != nil {
			return route{}, fmt.Errorf("jump host %q: %w", j, err)
		}
		r.Hops = append(r.Hops, h)
	}
	r.Hops = append(r.Hops, last)
	r.KnownHosts, err = s.knownHosts(config, alias)
	return r, err
}

func (s settings) hop(config config, name string) (hop, error) {
	said := split(name)
	h := hop{User: first(said.user, s.User, config.get(said.host, "User")), Host: first(config.get(said.host, "HostName"), said.host)}
	h.Host = strings.ReplaceAll(h.Host, "%h", said.host)
	if h.Host == "" || strings.ContainsAny(h.Host, " \t\n/") {
		return h, fmt.Errorf("%q is no name of a machine: write name, user@name or user@name:port", name)
	}
	port := first(said.port, nonzero(s.Port), config.get(said.host, "Port"), "22")
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return h, fmt.Errorf("%q is no port: it must be a number from 1 to 65535", port)
	}
	h.Port = n
	if h.User == "" {
		me, err := user.Current()
		if err != nil {
			return h, fmt.Errorf("nobody says who logs in: set `user` of the target: %w", err)
		}
		h.User = me.Username
	}
	keys := config.all(said.host, "IdentityFile")
	if s.IdentityFile != "" {
		keys, h.Explicit = []string{s.IdentityFile}, true
	}
	for _, k := range keys {
		path, err := expand(k)
		if err != nil {
			return h, err
		}
		h.Identities = append(h.Identities, path)
	}
	return h, nil
}

// knownHosts are the files that say which keys hosts have.
func (s settings) knownHosts(config config, alias string) ([]string, error) {
	files := []string{s.KnownHosts}
	if s.KnownHosts == "" {
		files = append(strings.Fields(first(config.get(alias, "UserKnownHostsFile"), "~/.ssh/known_hosts")), "/etc/ssh/ssh_known_hosts")
	}
	for i, f := range files {
		path, err := expand(f)
		if err != nil {
			return nil, err
		}
		files[i] = path
	}
	return files, nil
}

// spoken is what a name says: [user@]host[:port], an IPv6 address in brackets.
type spoken struct{ user, host, port string }

func split(name string) (s spoken) {
	s.host = name
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		s.user, s.host = name[:i], name[i+1:]
	}
	if host, port, err := net.SplitHostPort(s.host); err == nil {
		s.host, s.port = host, port
	}
	s.host = strings.Trim(s.host, "[]")
	return s
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func nonzero(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// config is what ~/.ssh/config says; it may be absent.
type config struct{ *ssh_config.Config }

func readConfig() (config, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return config{}, nil //nolint:nilerr // nobody's configuration
	}
	f, err := os.Open(filepath.Join(home, ".ssh", "config"))
	if err != nil {
		return config{}, nil //nolint:nilerr // most have none
	}
	defer f.Close()
	c, err := ssh_config.Decode(f)
	if err != nil {
		return config{}, fmt.Errorf("~/.ssh/config cannot be read: %w", err)
	}
	return config{c}, nil
}

func (c config) get(alias, key string) string {
	if c.Config == nil {
		return ""
	}
	value, _ := c.Get(alias, key) // what cannot be read says nothing
	return value
}

func (c config) all(alias, key string) []string {
	if c.Config == nil {
		return nil
	}
	values, _ := c.GetAll(alias, key)
	return values
}
