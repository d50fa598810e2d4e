"""Fits a logistic regression to the training set, and reports how well it does on the test set."""
import argparse
import json
import os

import joblib
import numpy
from sklearn.linear_model import LogisticRegression


def load(folder, name):
    return numpy.load(os.path.join(folder, name + "-x.npy")), numpy.load(os.path.join(folder, name + "-y.npy"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="folder that prepare.py wrote")
    parser.add_argument("--c", type=float, default=0.1, help="smaller is stricter")
    parser.add_argument("--model", required=True, help="folder to write the model to")
    args = parser.parse_args()

    x, y = load(args.data, "train")
    model = LogisticRegression(C=args.c, max_iter=1000)
    model.fit(x, y)
    accuracy = model.score(*load(args.data, "test"))
    print("accuracy %.4f" % accuracy)

    os.makedirs(args.model, exist_ok=True)
    joblib.dump(model, os.path.join(args.model, "model.joblib"))
    if "AMLFLOW_METRICS" in os.environ:  # absent when the script is run by hand
        with open(os.environ["AMLFLOW_METRICS"], "a") as f:
            f.write(json.dumps({"accuracy": accuracy}) + "\n")


if __name__ == "__main__":
    main()
