"""What came in since the last time: here made up, another day another set."""
import argparse
import json
import random

p = argparse.ArgumentParser()
p.add_argument("--rows", type=int, required=True)
p.add_argument("--seed", required=True)
p.add_argument("--out", required=True)
a = p.parse_args()
rng = random.Random(a.seed)
with open(a.out, "w", encoding="utf-8") as f:
    for _ in range(a.rows):
        label = rng.randrange(2)
        point = [rng.gauss(2 * label, 1), rng.gauss(-2 * label, 1)]
        f.write(json.dumps({"x": point, "y": label}) + "\n")
