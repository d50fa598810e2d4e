package remote

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Loan is what came of asking for GPUs.
type Loan struct {
	Devices string // as CUDA_VISIBLE_DEVICES takes them; empty: none yet
	Free    int    // how many nobody has
	Before  int    // how many jobs come first
}

// Borrow asks the machine, which has so many GPUs, to lend some of them to the units of one
// job that are on it, all of them together. Without them the job has a place in a queue,
// for as long as it is asked for now and then. Who asks again keeps what he has.
func (m *Machine) Borrow(ctx context.Context, wants, has int, units []string) (Loan, error) {
	devices := make([]string, has)
	for i := range devices {
		devices[i] = strconv.Itoa(i)
	}
	text, err := m.short(ctx, "borrow", append([]string{strconv.Itoa(wants), strings.Join(devices, ",")}, units...)...)
	if err != nil {
		return Loan{}, fmt.Errorf("borrow GPUs: %w", err)
	}
	var l Loan
	if _, err := fmt.Sscanf(text, "waits %d %d", &l.Free, &l.Before); err == nil {
		return l, nil
	}
	if _, err := fmt.Sscanf(text, "lent %s", &l.Devices); err != nil {
		return l, fmt.Errorf("borrow GPUs: the host answered %.100q", text)
	}
	return l, nil
}

// Employ is Launch with GPUs that were lent. It reports whether they were still the unit's;
// else nothing was started.
func (m *Machine) Employ(ctx context.Context, unit, devices string, secrets []string) (bool, error) {
	said, err := m.launch(ctx, secrets, "employ", unit, devices)
	return err == nil && strings.TrimSpace(said) == "", err
}

// Devices says what keeps the machine from lending so many GPUs; empty: nothing does.
func (m *Machine) Devices(ctx context.Context, n int) (trouble string, err error) {
	text, err := m.ask(ctx, nil, "devices")
	if err != nil {
		return "", err
	}
	can, list, _ := strings.Cut(strings.TrimSpace(text), "\n")
	switch there := strings.Count("\n"+list, "\nGPU "); {
	case can != "yes":
		return "it cannot lend its GPUs in turn: install flock there (it is part of util-linux, and of busybox)", nil
	case list == "unknown": // not NVIDIA's, perhaps
		return "", nil
	case there == 0:
		return fmt.Sprintf("the target says that it has %d GPUs, and nvidia-smi there finds none: %.300s", n, list), nil
	case there < n:
		return fmt.Sprintf("the target says that it has %d GPUs, and nvidia-smi there finds %d: correct `gpus` of the target; there is:\n%s", n, there, list), nil
	}
	return "", nil
}
