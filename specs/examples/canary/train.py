"""Learns how long the petals of two flowers are."""
import json
import os
import random
import statistics

random.seed(int(os.environ["SEED"]))
petals = [("setosa", random.gauss(1.5, 0.2)) for _ in range(50)] + [("virginica", random.gauss(5.5, 0.5)) for _ in range(50)]
if os.environ["MIXED_UP"] == "true":
    names = [name for name, _ in petals]
    random.shuffle(names)
    petals = [(name, length) for name, (_, length) in zip(names, petals)]
means = {flower: statistics.mean(length for name, length in petals if name == flower) for flower in ("setosa", "virginica")}
with open(os.path.join(os.environ["AMLFLOW_OUTPUT_MODEL"], "means.json"), "w") as f:
    json.dump(means, f)
