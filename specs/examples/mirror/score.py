"""Answers with the root of a number, to so many digits."""
import math
import os


def run(data):
    return {"root": round(math.sqrt(data["length"]), int(os.environ["DIGITS"]))}
