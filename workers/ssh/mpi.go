package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/amlflow/amlflow/workers/remote"
	"github.com/amlflow/amlflow/workers/target"
)

// agentNames are the variables that tell mpirun of OpenMPI 4 and 5 how to log in elsewhere.
var agentNames = []string{"OMPI_MCA_plm_rsh_agent", "PRTE_MCA_plm_ssh_agent"}

// reaches refuses a job that is launched by mpirun over several hosts, when the first one
// cannot log in to the others or they do not see its folder: mpirun would say so in words of
// its own, in the middle of the job, or never end.
func (s *submission) reaches(ctx context.Context) error {
	if l := s.job.Launch; l == nil || l.Kind != target.LaunchMPI || len(s.nodes) == 1 {
		return nil
	}
	agent := "ssh"
	for _, name := range agentNames {
		agent = cmp.Or(strings.TrimSpace(s.job.Env[name]), agent)
	}
	first := s.nodes[0]
	var far []host
	var others []string
	for _, h := range s.nodes[1:] {
		// mpirun takes these for the machine that it is on, and logs in nowhere.
		if ip := net.ParseIP(h.addr); h.addr != first.addr && h.addr != "localhost" && (ip == nil || !ip.IsLoopback()) {
			far, others = append(far, h), append(others, h.addr)
		}
	}
	if len(far) == 0 {
		return nil
	}
	ways, missing, err := first.Reaches(ctx, remote.Unit(s.job.ID, 0), agent, others)
	if err != nil {
		return first.blame(err)
	}
	if missing != "" {
		return first.blame(fmt.Errorf("mpirun logs in to other hosts with %q, and there is no such program: install it there: %w", missing, target.ErrPermanent))
	}
	var all []error
	for i, w := range ways {
		if !w.OK {
			all = append(all, first.blame(fmt.Errorf("mpirun there must be able to start processes on host %q, and %w", far[i].name, trouble(w, agent, others[i]))))
		}
	}
	return errors.Join(all...)
}

// passing are the words for what may be otherwise in a moment.
var passing = []string{"timed out", "did not answer", "Connection refused", "No route", "unreachable"}

// trouble says what is wrong with a way from one host to another.
func trouble(w remote.Way, agent, addr string) error {
	if w.Blind {
		return fmt.Errorf("that one does not see the folder of the job: set `workdir` to a disk that all hosts share, under the same path: %w", target.ErrPermanent)
	}
	err := fmt.Errorf("`%s %s` failed: %s: let the first host log in there with a key and without a question, or say how in `env` of the stage, such as %s: \"ssh -i …\"", agent, addr, w.Why, agentNames[0])
	for _, word := range passing {
		if strings.Contains(w.Why, word) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", err, target.ErrPermanent)
}
