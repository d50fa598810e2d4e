"""Fits y = slope * x + intercept to points by gradient descent. Every process has a share of the points."""

import json
import os

import group

POINTS = [(x / 100, 3.0 * x / 100 - 1.0) for x in range(100)]  # on the line with slope 3 and intercept -1
STEPS, RATE = 800, 0.5


def main():
    with group.join(os.environ) as all_of_us:
        mine = POINTS[all_of_us.rank :: all_of_us.size]
        print("rank %d of %d has %d points" % (all_of_us.rank, all_of_us.size, len(mine)))
        slope = intercept = 0.0
        for step in range(1, STEPS + 1):
            errors = [(slope * x + intercept - y, x) for x, y in mine]
            sums = [sum(e * x for e, x in errors), sum(e for e, _ in errors), sum(e * e for e, _ in errors)]
            down, shift, loss = (total / len(POINTS) for total in all_of_us.sum(sums))
            slope, intercept = slope - RATE * 2 * down, intercept - RATE * 2 * shift
            if all_of_us.rank == 0 and step % 100 == 0:
                with open(os.environ["AMLFLOW_METRICS"], "a") as metrics:
                    metrics.write(json.dumps({"step": step, "loss": loss}) + "\n")
        if all_of_us.rank == 0:  # what the stage gives is what rank 0 leaves
            with open(os.environ["AMLFLOW_OUTPUTS"], "w") as outputs:
                json.dump({"slope": round(slope, 6), "intercept": round(intercept, 6), "processes": all_of_us.size}, outputs)


if __name__ == "__main__":
    main()
