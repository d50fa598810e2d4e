"""Counts what was scored."""
import csv
import json
import os
import sys

with open(sys.argv[1], newline="") as f:
    rows = list(csv.DictReader(f))
good = sum(row["good"] == "True" for row in rows)
print("%d of %d reviews are good; %s could not be scored" % (good, len(rows), os.environ["FAILED"]))
with open(os.environ["AMLFLOW_OUTPUTS"], "w") as f:
    json.dump({"good": good}, f)
