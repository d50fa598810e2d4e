"""Fit a line through noisy points by least squares."""
import argparse
import json
import os
import random

parser = argparse.ArgumentParser()
parser.add_argument("--points", type=int, required=True)
parser.add_argument("--model", required=True)
args = parser.parse_args()

random.seed(1)
xs = [random.uniform(0, 10) for _ in range(args.points)]
ys = [2 * x + 1 + random.gauss(0, 0.3) for x in xs]

mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys)) / sum((x - mean_x) ** 2 for x in xs)
intercept = mean_y - slope * mean_x
error = sum(abs(slope * x + intercept - y) for x, y in zip(xs, ys)) / len(xs)
print(f"y = {slope:.3f} x + {intercept:.3f}, off by {error:.3f} on average")

with open(os.path.join(args.model, "line.json"), "w") as f:
    json.dump({"slope": slope, "intercept": intercept}, f)
with open(os.environ["AMLFLOW_METRICS"], "a") as f:
    f.write(json.dumps({"error": error}) + "\n")
