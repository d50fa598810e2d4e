"""Fits y = slope * x + base to points by gradient descent.

    python3 fit.py points.csv --rounds 200 --rate 0.1
"""

import argparse
import json
import os


def fit(points, rounds, rate):
    """Returns (slope, base, loss): the line, and its mean squared error."""
    slope = base = 0.0
    for _ in range(rounds):
        errors = [(slope * x + base - y, x) for x, y in points]
        slope -= rate * 2 * sum(error * x for error, x in errors) / len(points)
        base -= rate * 2 * sum(error for error, _ in errors) / len(points)
    return slope, base, sum((slope * x + base - y) ** 2 for x, y in points) / len(points)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("points")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--rate", type=float, default=0.1)
    options = parser.parse_args()
    with open(options.points, encoding="utf-8") as lines:
        points = [tuple(map(float, line.split(","))) for line in lines]
    slope, base, loss = fit(points, options.rounds, options.rate)
    print("y = %.4f x + %.4f, loss %.6f" % (slope, base, loss))
    with open(os.environ["AMLFLOW_OUTPUT_LINE"], "w", encoding="utf-8") as file:
        json.dump({"slope": slope, "base": base}, file)
    with open(os.environ["AMLFLOW_OUTPUTS"], "w", encoding="utf-8") as file:
        json.dump({"slope": slope}, file)
    with open(os.environ["AMLFLOW_METRICS"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"loss": loss}) + "\n")


if __name__ == "__main__":
    main()
