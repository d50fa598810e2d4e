"""Stage `train`: fits softmax regression to the training rows by mini-batch gradient descent with momentum.

    python3 train.py --data data/ --model model/

Started once it trains alone. Started WORLD_SIZE times, each with its own RANK, each process works through its share of every
mini-batch, and the shares' gradients are added up (allreduce.py) before anyone takes a step. The ranks therefore take the same
steps as one process would, but for the rounding of sums made in another order; the weights agree to about 1e-15,
and to the last of the six decimals that the model keeps.
Rank 0 reports the metrics and writes the model.
"""

import argparse
import json
import math
import os
import sys
from operator import mul

import allreduce
import metrics
import rows
import softmax

BATCH = 128
EPOCHS = 40
STEP = 0.3  # how far to go down the gradient
MOMENTUM = 0.9  # how much of the last step to go on with
DECAY = 0.001  # L2: pulls every weight towards zero, so that few rows are not learnt by heart
WIDTH = rows.PIXELS + 1  # the pixels and the bias
TRY_AGAIN = 75  # the exit code for "not my fault, start me again" (EX_TEMPFAIL in sysexits.h)


class Batch:
    """One rank's share of one mini-batch, laid out for speed."""

    def __init__(self, table, group):
        """table: all rows of the mini-batch, on every rank; this rank takes each size-th of them."""
        self.size = len(table)  # of the whole mini-batch, not the share
        share = table[group.rank :: group.size]
        self.inputs = [pixels + [1.0] for pixels, _ in share]
        self.columns = list(zip(*self.inputs)) or [()] * WIDTH
        self.digits = [digit for _, digit in share]

    def sums(self, weights):
        """Returns, over this share, the summed gradient of each weight and, last, the summed loss (a flat list)."""
        loss, errors = 0.0, []
        for inputs, digit in zip(self.inputs, self.digits):
            chances = softmax.probabilities(weights, inputs)
            loss -= math.log(max(chances[digit], 1e-300))
            chances[digit] -= 1.0  # the gradient of the loss by the scores
            errors.append(chances)
        by_digit = list(zip(*errors)) or [()] * rows.DIGITS
        return [sum(map(mul, error, column)) for error in by_digit for column in self.columns] + [loss]


def train(table, group, epochs=EPOCHS, progress=lambda epoch, loss: None):
    """Returns the weights after `epochs` passes over the rows; calls progress after each with the mean loss."""
    batches = [Batch(table[start : start + BATCH], group) for start in range(0, len(table), BATCH)]
    weights = [[0.0] * WIDTH for _ in range(rows.DIGITS)]
    velocity = [[0.0] * WIDTH for _ in range(rows.DIGITS)]
    for epoch in range(1, epochs + 1):
        loss = 0.0
        for batch in batches:
            *gradient, batch_loss = group.sum(batch.sums(weights))
            loss += batch_loss
            step(weights, velocity, gradient, batch.size)
        progress(epoch, loss / len(table))
    return weights


def step(weights, velocity, gradient, size):
    """Moves the weights down the gradient, which is a sum over `size` rows, in place."""
    for digit, row in enumerate(weights):
        slope = gradient[digit * WIDTH : (digit + 1) * WIDTH]
        velocity[digit] = [
            MOMENTUM * v - STEP * (g / size + DECAY * w) for v, g, w in zip(velocity[digit], slope, row)
        ]
        weights[digit] = [w + v for w, v in zip(row, velocity[digit])]


def announce(epoch, loss):
    """Tells amlflow and the log how far training has come."""
    metrics.report(loss=round(loss, 6), step=epoch)
    print("epoch %d: loss %.4f" % (epoch, loss), flush=True)


def run(args):
    training, held_out = rows.read_split(args.data)
    with open(os.path.join(args.data, "about.json"), encoding="utf-8") as file:
        scale = json.load(file)["scale"]
    with allreduce.join(os.environ) as group:
        print("rank %d of %d: training on %d rows" % (group.rank, group.size, len(training)), flush=True)
        first = group.rank == 0
        weights = train(training, group, args.epochs, announce if first else lambda epoch, loss: None)
    if first:
        accuracy = softmax.accuracy(weights, held_out)
        softmax.save(args.model, weights, scale)
        metrics.report(accuracy=round(accuracy, 6))
        print("accuracy %.4f on %d held-out rows" % (accuracy, len(held_out)), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Train softmax regression on the digits.")
    parser.add_argument("--data", required=True, help="folder that prepare.py wrote")
    parser.add_argument("--model", required=True, help="folder to write model.json into")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="passes over the rows (default %d)" % EPOCHS)
    args = parser.parse_args()
    try:
        run(args)
    except (OSError, ValueError) as problem:
        sys.exit("train: %s" % problem)
    except allreduce.LostPeer as problem:
        print("train: %s" % problem, file=sys.stderr)
        sys.exit(TRY_AGAIN)


if __name__ == "__main__":
    main()
