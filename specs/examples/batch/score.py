"""Says of each review whether it is good. A review without words has no result."""
import json
import os

odds = {}


def init():  # once in each process
    with open(os.path.join(os.environ["AMLFLOW_MODEL"], "words.json")) as f:
        odds.update(json.load(f))


def run(mini_batch):  # a list of paths
    return [one(path) for path in mini_batch]


def one(path):
    with open(path) as f:
        words = f.read().split()
    if not words:
        return None  # it counts as failed
    score = sum(odds.get(w, 0) for w in words)
    return {"review": os.path.basename(path), "good": score > 0, "score": round(score, 3)}
