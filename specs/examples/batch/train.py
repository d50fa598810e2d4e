"""Counts how often each word is in good and in bad reviews, and keeps the logarithm of the odds."""
import collections
import json
import math
import os
import sys

counts = {"good": collections.Counter(), "bad": collections.Counter()}
for name in sorted(os.listdir(sys.argv[1])):
    with open(os.path.join(sys.argv[1], name)) as f:
        counts[name.split("-")[0]].update(f.read().split())
words = sorted(set(counts["good"]) | set(counts["bad"]))
odds = {w: math.log((counts["good"][w] + 1) / (counts["bad"][w] + 1)) for w in words}
with open(sys.argv[2], "w") as f:
    json.dump(odds, f, indent=1)
print("learned %d words" % len(words))
