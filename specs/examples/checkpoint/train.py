"""Fits a line by gradient descent, and goes on where an earlier attempt was stopped."""

import argparse
import json
import os
import time

STEPS_BETWEEN_CHECKPOINTS = 10

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, required=True)
parser.add_argument("--pause", type=float, default=0.02, help="seconds; a stand-in for a longer step")
args = parser.parse_args()

saved = os.path.join(os.environ["AMLFLOW_CHECKPOINT"], "state.json")
state = {"step": 0, "slope": 0.0, "offset": 0.0}
if os.path.exists(saved):
    with open(saved) as f:
        state = json.load(f)
    print(f"going on from step {state['step']}", flush=True)

data = [(x / 10, 3 * x / 10 + 1) for x in range(-10, 11)]


def save():
    # Under another name first: a checkpoint is whole, or it is not there.
    with open(saved + ".tmp", "w") as f:
        json.dump(state, f)
    os.rename(saved + ".tmp", saved)


while state["step"] < args.steps:
    errors = [(state["slope"] * x + state["offset"] - y, x) for x, y in data]
    state["slope"] -= 0.1 * sum(e * x for e, x in errors) / len(data)
    state["offset"] -= 0.1 * sum(e for e, _ in errors) / len(data)
    state["step"] += 1
    if state["step"] % STEPS_BETWEEN_CHECKPOINTS == 0:
        save()
        loss = sum(e * e for e, _ in errors) / len(data)
        with open(os.environ["AMLFLOW_METRICS"], "a") as f:
            print(json.dumps({"loss": loss, "step": state["step"]}), file=f)
    time.sleep(args.pause)

with open(os.path.join(os.environ["AMLFLOW_OUTPUT_MODEL"]), "w") as f:
    json.dump({"slope": state["slope"], "offset": state["offset"]}, f)
print(f"finished at step {state['step']}", flush=True)
