"""Splits the digits that come with scikit-learn into a training and a test set."""
import argparse
import os

import numpy
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", required=True, help="folder to write the two sets to")
    args = parser.parse_args()

    digits = load_digits()  # 1797 pictures of 8 by 8 points, each 0 to 16
    train_x, test_x, train_y, test_y = train_test_split(
        digits.data / 16, digits.target, test_size=0.25, stratify=digits.target, random_state=args.seed)
    os.makedirs(args.out, exist_ok=True)
    for name, x, y in [("train", train_x, train_y), ("test", test_x, test_y)]:
        numpy.save(os.path.join(args.out, name + "-x.npy"), x)
        numpy.save(os.path.join(args.out, name + "-y.npy"), y)
        print(name, len(y))


if __name__ == "__main__":
    main()
