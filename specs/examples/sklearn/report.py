"""Writes what the model does well and badly, and names the digit that it misses most."""
import argparse
import json
import os

import joblib
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, recall_score

from train import load


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, help="folder that prepare.py wrote")
    parser.add_argument("--model", required=True, help="folder that train.py wrote")
    parser.add_argument("--out", required=True, help="file to write the report to")
    args = parser.parse_args()

    x, y = load(args.data, "test")
    guess = joblib.load(os.path.join(args.model, "model.joblib")).predict(x)  # a model of our own making; never load a stranger's
    recall = recall_score(y, guess, average=None)
    worst = int(recall.argmin())
    text = "%s\nwho was taken for whom:\n%s\n" % (classification_report(y, guess, digits=3), confusion_matrix(y, guess))
    with open(args.out, "w") as f:
        f.write(text)
    print(text)

    if "AMLFLOW_METRICS" in os.environ:
        with open(os.environ["AMLFLOW_METRICS"], "a") as f:
            f.write(json.dumps({"accuracy": accuracy_score(y, guess), "worst_recall": float(recall[worst])}) + "\n")
        with open(os.environ["AMLFLOW_OUTPUTS"], "w") as f:
            json.dump({"worst_digit": worst}, f)


if __name__ == "__main__":
    main()
