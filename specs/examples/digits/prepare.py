"""Stage `prepare`: takes the first N shuffled digits and splits them for training and for judging.

    python3 prepare.py --rows 500 --out data/

Writes train.csv (three quarters), test.csv (the held-out quarter) and about.json. The same N gives the same bytes.
"""

import argparse
import json
import os
import random
import sys

import rows

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "digits.csv.gz")
FEWEST = 50  # with fewer, some digit may have no example to learn from
SEED = 1998  # the year of the data; any fixed number makes the split repeatable


def split(everything, count):
    """Returns (training, held_out) rows: `count` shuffled rows, a quarter of them held out, each digit in proportion."""
    if not FEWEST <= count <= len(everything):
        raise ValueError("rows must be between %d and %d, got %d" % (FEWEST, len(everything), count))
    shuffle = random.Random(SEED).shuffle
    everything = list(everything)
    shuffle(everything)
    # Sorted by digit, every fourth row takes its fair share of each digit.
    by_digit = sorted(everything[:count], key=lambda row: row[1])
    held_out = by_digit[3::4]
    training = [row for index, row in enumerate(by_digit) if index % 4 != 3]
    shuffle(training)  # so that each mini-batch sees every digit
    return training, held_out


def normalise(table):
    """Returns the rows with pixels between 0 and 1 in place of 0 and 16."""
    return [([pixel / rows.WHITE for pixel in pixels], digit) for pixels, digit in table]


def about(training, held_out):
    """Returns what a reader of the folder wants to know; `scale` is what a raw pixel is divided by."""
    counts = [sum(digit == d for _, digit in training + held_out) for d in range(rows.DIGITS)]
    return {
        "rows": len(training) + len(held_out),
        "training": len(training),
        "held_out": len(held_out),
        "scale": rows.WHITE,
        "seed": SEED,
        "rows_of_each_digit": counts,
    }


def main():
    parser = argparse.ArgumentParser(description="Split the digits into a training and a held-out part.")
    parser.add_argument("--rows", type=int, required=True, help="how many digits to use, 50 to 1797")
    parser.add_argument("--out", required=True, help="folder to write train.csv, test.csv and about.json into")
    args = parser.parse_args()
    try:
        training, held_out = split(rows.read(SOURCE), args.rows)
    except (OSError, ValueError) as problem:
        sys.exit("prepare: %s" % problem)

    os.makedirs(args.out, exist_ok=True)
    rows.write(os.path.join(args.out, "train.csv"), normalise(training))
    rows.write(os.path.join(args.out, "test.csv"), normalise(held_out))
    with open(os.path.join(args.out, "about.json"), "w", encoding="utf-8") as file:
        json.dump(about(training, held_out), file, indent=2)
        file.write("\n")
    print("prepared %d digits: %d to train on, %d held out" % (args.rows, len(training), len(held_out)), flush=True)


if __name__ == "__main__":
    main()
