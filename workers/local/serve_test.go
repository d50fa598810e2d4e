package local

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/amlflow/amlflow/workers/target"
)

func TestWithoutAGatewayWishesStand(t *testing.T) {
	d := Driver{Dir: t.TempDir()}
	on := target.Target{Name: "web", Kind: "local", Settings: []byte(`{"memory": "1Gi"}`)}
	wish := target.Deployment{ID: "d1", Endpoint: "m", Script: "exec server"}
	for range 2 {
		if err := d.Deploy(t.Context(), on, wish, nil); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := d.Deployed(t.Context(), on, "d1"); err != nil || r.State != target.Waiting {
		t.Errorf("rollout: %+v, %v", r, err)
	}
	list, err := d.Endpoints(t.Context(), on)
	if err != nil || len(list) != 1 || list[0].Coming != "d1" || !strings.Contains(list[0].Reason, "gateway is not running") {
		t.Errorf("endpoints: %+v, %v", list, err)
	}
	if err := d.Withdraw(t.Context(), on, "d1"); err != nil {
		t.Fatal(err)
	}
	if r, err := d.Deployed(t.Context(), on, "d1"); err != nil || r.State != target.Cancelled {
		t.Errorf("rollout: %+v, %v", r, err)
	}
	if err := d.Retire(t.Context(), on, "m"); err != nil {
		t.Fatal(err)
	}
	if list, err := d.Endpoints(t.Context(), on); err != nil || len(list) > 0 {
		t.Errorf("endpoints: %+v, %v", list, err)
	}
}

func TestADeploymentMustFitTheTarget(t *testing.T) {
	d := Driver{Dir: t.TempDir(), StartGateway: func(string) error { return os.ErrPermission }}
	on := target.Target{Name: "web", Kind: "local", Settings: []byte(`{"memory": "1Gi"}`)}
	wish := target.Deployment{ID: "d1", Endpoint: "m", Script: "exec server", Needs: target.Resources{Memory: 2 << 30}}
	if err := d.Deploy(t.Context(), on, wish, nil); !errors.Is(err, target.ErrPermanent) || !strings.Contains(err.Error(), "has 1Gi of memory") {
		t.Errorf("error: %v", err)
	}
	wish.Needs.Memory = 0
	if err := d.Deploy(t.Context(), on, wish, nil); !errors.Is(err, os.ErrPermission) {
		t.Errorf("error: %v", err)
	}
}
