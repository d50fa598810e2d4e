"""Rows of digits in text files: 64 pixels, then the digit, comma separated."""

import gzip
import os

PIXELS = 64  # 8 x 8, row by row
DIGITS = 10
WHITE = 16  # the largest pixel value in the raw data; the smallest is 0


def read(path):
    """Returns the (pixels, digit) pairs of a .csv or .csv.gz file.

    Raises ValueError for an empty file and, naming the line, where one does not hold 64 numbers and a digit.
    """
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        table = [_parse(line, "%s:%d" % (path, number)) for number, line in enumerate(lines, 1)]
    if not table:
        raise ValueError("%s holds no rows" % path)
    return table


def write(path, rows):
    """Writes (pixels, digit) pairs, one a line."""
    with open(path, "w", encoding="utf-8") as file:
        for pixels, digit in rows:
            file.write(",".join(["%g" % pixel for pixel in pixels] + [str(digit)]) + "\n")


def read_split(folder):
    """Returns the (training, held_out) rows that prepare.py wrote into a folder."""
    return read(os.path.join(folder, "train.csv")), read(os.path.join(folder, "test.csv"))


def _parse(line, place):
    """Returns the (pixels, digit) of one line; place says which, for the message."""
    try:
        *pixels, digit = line.split(",")
        row = [float(pixel) for pixel in pixels], int(digit)
    except ValueError:
        raise ValueError("%s: want numbers between commas, got %r" % (place, line[:40])) from None
    if len(pixels) != PIXELS or not 0 <= row[1] < DIGITS:
        raise ValueError("%s: want 64 pixels and a digit, got %d values" % (place, len(pixels) + 1))
    return row
