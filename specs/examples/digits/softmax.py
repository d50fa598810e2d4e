"""Softmax regression: ten rows of weights, one for each digit, and what can be done with them.

A row has a weight for each of the 64 pixels and a 65th, the bias, which meets a pixel that is always 1.
"""

import json
import math
import os
from operator import mul

DECIMALS = 6  # of a stored weight: enough for the answer, and few enough to hide in which order sums were made


def probabilities(weights, inputs):
    """Returns the probability of each digit for one row of inputs (64 pixels and a 1)."""
    scores = [sum(map(mul, row, inputs)) for row in weights]
    highest = max(scores)  # taken off so that exp() cannot overflow
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def classify(weights, pixels):
    """Returns (digit, probability): the likeliest digit for 64 normalised pixels."""
    chances = probabilities(weights, pixels + [1.0])
    best = max(chances)
    return chances.index(best), best


def accuracy(weights, table):
    """Returns the share of (pixels, digit) rows whose digit is named rightly."""
    right = sum(classify(weights, pixels)[0] == digit for pixels, digit in table)
    return right / len(table)


def save(folder, weights, scale):
    """Writes model.json. `scale` is what a raw pixel must be divided by before it is classified."""
    model = {"scale": scale, "weights": [[round(weight, DECIMALS) for weight in row] for row in weights]}
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "model.json")
    with open(path + ".partial", "w", encoding="utf-8") as file:
        json.dump(model, file)
        file.write("\n")
    os.replace(path + ".partial", path)  # a half-written model is never seen


def load(folder):
    """Returns (weights, scale) from the model.json in a folder."""
    with open(os.path.join(folder, "model.json"), encoding="utf-8") as file:
        model = json.load(file)
    return model["weights"], model["scale"]
