"""Tells flowers apart by the length of a petal, and reports how sure it is."""
import json
import os

import amlflow

means = {}


def init():
    with open(os.path.join(os.environ["AMLFLOW_MODEL"], "means.json")) as f:
        means.update(json.load(f))


def run(data):
    away = {flower: abs(data["length"] - mean) for flower, mean in means.items()}
    flower = min(away, key=away.get)
    confidence = 1 - away[flower] / (sum(away.values()) or 1)
    amlflow.report("confidence", confidence)
    return {"flower": flower, "confidence": round(confidence, 3)}
