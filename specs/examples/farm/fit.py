"""Fit y = a*x to points of which every sixth is left out, a step at a time, and go on from what was kept."""

import json
import os
import signal
import sys

fold, steps = int(sys.argv[1]), int(sys.argv[2])
saved = os.path.join(os.environ["AMLFLOW_CHECKPOINT"], "state.json")
at, slope = 0, 0.0
if os.path.exists(saved):
    with open(saved) as f:
        at, slope = json.load(f)
    print(f"going on from step {at}")

points = [(x / 10, 3 * x / 10 + (x * 7 % 5 - 2) / 10) for x in range(1, 61)]
train = [p for i, p in enumerate(points) if i % 6 != fold]
test = [p for i, p in enumerate(points) if i % 6 == fold]


def save():
    with open(saved + ".tmp", "w") as f:
        json.dump([at, slope], f)
    os.replace(saved + ".tmp", saved)


def taken(*_):
    save()
    sys.exit(1)


signal.signal(signal.SIGTERM, taken)
while at < steps:
    slope -= 0.02 * sum(2 * x * (slope * x - y) for x, y in train) / len(train)
    at += 1
    save()

loss = sum((slope * x - y) ** 2 for x, y in test) / len(test)
print(f"fold {fold}: slope {slope:.3f}, loss {loss:.4f}")
with open(os.environ["AMLFLOW_METRICS"], "a") as f:
    f.write(json.dumps({"loss": loss}) + "\n")
with open(os.environ["AMLFLOW_OUTPUTS"], "w") as f:
    json.dump({"slope": slope}, f)
