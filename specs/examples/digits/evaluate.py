"""Stage `evaluate`: judges the model on the held-out rows, which it has never seen.

    python3 evaluate.py --data data/ --model model/ --out report/

Writes report.json for programs and report.txt for people.
"""

import argparse
import json
import os
import sys

import metrics
import rows
import softmax


def confusion(weights, table):
    """Returns a 10 x 10 table: how often each true digit (row) was taken for each digit (column)."""
    counts = [[0] * rows.DIGITS for _ in range(rows.DIGITS)]
    for pixels, digit in table:
        counts[digit][softmax.classify(weights, pixels)[0]] += 1
    return counts


def recalls(counts):
    """Returns, for each true digit, the share that was recognised; None for a digit that never occurs."""
    return [row[digit] / sum(row) if sum(row) else None for digit, row in enumerate(counts)]


def judge(counts):
    """Returns the report on a confusion table as plain data."""
    total = sum(map(sum, counts))
    recall = recalls(counts)
    seen = [digit for digit, share in enumerate(recall) if share is not None]
    return {
        "rows": total,
        "accuracy": round(sum(counts[digit][digit] for digit in range(rows.DIGITS)) / total, 6),
        "worst_digit": min(seen, key=lambda digit: recall[digit]),
        "recall": [share if share is None else round(share, 6) for share in recall],
        "confusion": counts,
    }


def readable(report):
    """Returns the report as text."""
    lines = [
        "accuracy %.4f on %d held-out digits" % (report["accuracy"], report["rows"]),
        "hardest digit: %d" % report["worst_digit"],
        "",
        "true    taken for                                 recall",
        "     " + "".join("%4d" % digit for digit in range(rows.DIGITS)),
    ]
    for digit, (row, share) in enumerate(zip(report["confusion"], report["recall"])):
        cells = "".join("%4s" % (count or ".") for count in row)
        lines.append("%4d " % digit + cells + ("%9.3f" % share if share is not None else "        -"))
    return "\n".join(lines) + "\n"


def run(args):
    _, held_out = rows.read_split(args.data)
    weights, _ = softmax.load(args.model)
    report = judge(confusion(weights, held_out))

    os.makedirs(args.out, exist_ok=True)
    with open(os.path.join(args.out, "report.json"), "w", encoding="utf-8") as file:
        json.dump(report, file)
        file.write("\n")
    with open(os.path.join(args.out, "report.txt"), "w", encoding="utf-8") as file:
        file.write(readable(report))
    metrics.report(accuracy=report["accuracy"])
    metrics.output(worst_digit=report["worst_digit"])
    print(readable(report), end="", flush=True)


def main():
    parser = argparse.ArgumentParser(description="Judge a model on the held-out digits.")
    parser.add_argument("--data", required=True, help="folder that prepare.py wrote")
    parser.add_argument("--model", required=True, help="folder that train.py wrote")
    parser.add_argument("--out", required=True, help="folder to write report.json and report.txt into")
    try:
        run(parser.parse_args())
    except (OSError, ValueError) as problem:
        sys.exit("evaluate: %s" % problem)


if __name__ == "__main__":
    main()
