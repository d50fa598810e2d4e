"""One trial: softmax regression on handwritten digits, with the settings that the sweep has chosen.

A trial is told its settings as arguments, and in $AMLFLOW_TRIAL_STEPS how many epochs it does in all. It reports its accuracy
on held-out rows after each, and leaves its state in $AMLFLOW_CHECKPOINT, so that it can be paused and go on later.
"""

import argparse
import csv
import gzip
import json
import math
import os
import random
from operator import mul

WIDTH = 65  # the pixels and the bias


def read(count):
    """Returns rows of (pixels from 0 to 1, then 1 for the bias; the digit), in an order of their own: the same each time."""
    with gzip.open("data/digits.csv.gz", "rt") as file:
        table = [([int(v) / 16 for v in row[:-1]] + [1.0], int(row[-1])) for row in csv.reader(file)]
    random.Random(7).shuffle(table)
    return table[:count], table[count : 2 * count]


def scores(weights, inputs):
    return [sum(map(mul, row, inputs)) for row in weights]


def probabilities(weights, inputs):
    values = scores(weights, inputs)
    most = max(values)
    powers = [math.exp(v - most) for v in values]
    whole = sum(powers)
    return [p / whole for p in powers]


def accuracy(weights, table):
    right = 0
    for inputs, digit in table:
        values = scores(weights, inputs)
        right += values.index(max(values)) == digit
    return right / len(table)


def epoch(state, table, args):
    """One pass over the rows, in the order that the number of the epoch gives."""
    rows = table[:]
    random.Random(state["epoch"]).shuffle(rows)
    for start in range(0, len(rows), args.batch):
        batch = rows[start : start + args.batch]
        errors = []
        for inputs, digit in batch:
            chances = probabilities(state["weights"], inputs)
            chances[digit] -= 1.0
            errors.append(chances)
        columns = list(zip(*(inputs for inputs, _ in batch)))
        for digit, error in enumerate(zip(*errors)):
            row, speed = state["weights"][digit], state["velocity"][digit]
            slope = [sum(map(mul, error, column)) / len(batch) for column in columns]
            speed = [args.momentum * v - args.lr * (g + args.decay * w) for v, g, w in zip(speed, slope, row)]
            state["velocity"][digit] = speed
            state["weights"][digit] = [max(-1e6, min(1e6, w + v)) for w, v in zip(row, speed)]
    state["epoch"] += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--momentum", type=float, required=True)
    parser.add_argument("--decay", type=float, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=27)
    args = parser.parse_args()
    training, held_out = read(args.rows)

    saved = os.path.join(os.environ.get("AMLFLOW_CHECKPOINT", "."), "state.json")
    state = {"epoch": 0, "weights": [[0.0] * WIDTH for _ in range(10)], "velocity": [[0.0] * WIDTH for _ in range(10)]}
    if os.path.exists(saved):
        with open(saved) as file:
            state = json.load(file)
        print("going on behind epoch %d" % state["epoch"], flush=True)

    # Without a bound from the sweep, all epochs.
    steps = min(args.epochs, int(float(os.environ.get("AMLFLOW_TRIAL_STEPS", args.epochs))))
    while state["epoch"] < steps:
        epoch(state, training, args)
        got = accuracy(state["weights"], held_out)
        print("epoch %d: accuracy %.4f" % (state["epoch"], got), flush=True)
        with open(os.environ["AMLFLOW_METRICS"], "a") as file:
            print(json.dumps({"accuracy": got, "step": state["epoch"]}), file=file)
        if "AMLFLOW_CHECKPOINT" in os.environ:  # under another name first: a checkpoint is whole, or it is not there
            with open(saved + ".tmp", "w") as file:
                json.dump(state, file)
            os.rename(saved + ".tmp", saved)
        if "TRACE" in os.environ:  # bench.py looks at the order in which all trials did their epochs
            with open(os.environ["TRACE"], "a") as file:
                file.write("%s %d %.6f\n" % (os.environ["AMLFLOW_TRIAL"], state["epoch"], got))

    with open(os.environ["AMLFLOW_OUTPUT_MODEL"], "w") as file:
        json.dump(state["weights"], file)


if __name__ == "__main__":
    main()
