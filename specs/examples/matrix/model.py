"""Predicts a noisy wave with one of three simple models, and reports the mean squared error on points held out.

    python3 model.py mean|line|nearest --seed 1 --neighbours 3
"""

import argparse
import json
import math
import os
import random


def wave(rng, count):
    """Returns (x, y) points of a sine with noise."""
    points = []
    for _ in range(count):
        x = rng.uniform(0, 6)
        points.append((x, math.sin(x) + rng.gauss(0, 0.1)))
    return points


def mean(points, _):
    level = sum(y for _, y in points) / len(points)
    return lambda x: level


def line(points, _):
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in points) / sum((x - middle_x) ** 2 for x, _ in points)
    return lambda x: middle_y + slope * (x - middle_x)


def nearest(points, neighbours):
    def predict(at):
        close = sorted(points, key=lambda point: abs(point[0] - at))[:neighbours]
        return sum(y for _, y in close) / len(close)

    return predict


MODELS = {"mean": mean, "line": line, "nearest": nearest}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--neighbours", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    predict = MODELS[options.model](wave(rng, 200), options.neighbours)
    held_out = wave(rng, 100)
    loss = sum((predict(x) - y) ** 2 for x, y in held_out) / len(held_out)
    print("%s with seed %d: loss %.4f" % (options.model, options.seed, loss))
    with open(os.environ["AMLFLOW_METRICS"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"loss": loss}) + "\n")


if __name__ == "__main__":
    main()
