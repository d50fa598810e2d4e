"""Finds the model with the lowest mean loss over its seeds."""

import json
import os

losses = {}
for one, loss in zip(json.loads(os.environ["TRIES"]), json.loads(os.environ["LOSSES"])):
    losses.setdefault(one["model"], []).append(loss)
means = {model: sum(all_of_it) / len(all_of_it) for model, all_of_it in losses.items()}
for model, loss in sorted(means.items(), key=lambda pair: pair[1]):
    print("%-8s %.4f over %d seeds" % (model, loss, len(losses[model])))
best = min(means, key=means.get)
with open(os.environ["AMLFLOW_OUTPUTS"], "w", encoding="utf-8") as file:
    json.dump({"model": best, "loss": means[best]}, file)
