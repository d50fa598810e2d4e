"""How a stage hands numbers to amlflow: files whose names are in environment variables.

Outside amlflow the variables are not set and nothing is written, so every script also runs by hand.
"""

import json
import os


def report(**values):
    """Appends one line of JSON to $AMLFLOW_METRICS; it can be watched while the stage runs."""
    path = os.environ.get("AMLFLOW_METRICS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")


def output(**values):
    """Writes the stage's scalar outputs, one JSON object, to $AMLFLOW_OUTPUTS. Call it once."""
    path = os.environ.get("AMLFLOW_OUTPUTS")
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(values, file)
