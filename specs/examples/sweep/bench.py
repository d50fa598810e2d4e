"""Compares TPE with ASHA to random search, on the digits, with real runs: a table and a plot.

    python3 bench.py --amlflow ./amlflow --seeds 10 --out ../../../docs

Random search trains each trial to its end. TPE with ASHA has more trials, of which most stop early. What is counted is
training steps: passes over the rows, of all trials together. Two things are compared: the best accuracy that any trial has
reported, and after how many steps TPE with ASHA had the best of random search; and the accuracy of the model that comes out.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
EPOCHS = 27


def pipeline(text, kind, trials):
    """The example's pipeline, with another algorithm."""
    if kind == "random":
        text = re.sub(r"\n *stop: .*", "", text)
        text = re.sub(r"\n *checkpoint: .*", "", text)
        text = text.replace("kind: tpe", "kind: random")
    return text.replace("default: 27, minimum", "default: %d, minimum" % trials).replace("train.py --lr", "train.py --epochs %d --lr" % EPOCHS)


def sweep(args, kind, trials, seed):
    """Runs a sweep; returns (steps, best accuracy, [(steps so far, best so far)])."""
    folder = tempfile.mkdtemp()
    trace = os.path.join(folder, "trace")
    shutil.copytree(os.path.join(HERE, "data"), os.path.join(folder, "code", "data"))
    shutil.copy(os.path.join(HERE, "train.py"), os.path.join(folder, "code"))
    with open(os.path.join(HERE, "tune.pipeline.yaml")) as file:
        text = pipeline(file.read(), kind, trials)
    text = text.replace("    metrics: { accuracy: number }", "    env: { TRACE: %s }\n    metrics: { accuracy: number }" % json.dumps(trace), 1)
    path = os.path.join(folder, "code", "tune.pipeline.yaml")
    with open(path, "w") as file:
        file.write(text)
    out = subprocess.run([args.amlflow, "run", path, "-p", "seed=%d" % seed, "-o", "json"], check=True, capture_output=True, text=True).stdout
    best = json.loads(out)["outputs"]["accuracy"]
    curve, most = [], 0.0
    with open(trace) as file:
        for line in file:
            most = max(most, float(line.split()[2]))
            curve.append(most)
    shutil.rmtree(folder)
    return len(curve), best, curve


def bar(values, at):
    """The median of curves that end at different points; None behind the end of half of them."""
    there = [v[at] if at < len(v) else v[-1] for v in values]
    return statistics.median(there)


def plot(random, tpe):
    """An SVG with the median over seeds of the best accuracy so far, by steps."""
    wide, high, left, top = 640, 320, 56, 16
    longest = max(len(c) for c in random)
    least = 0.6

    def x(step):
        return left + (wide - left - 16) * step / longest

    def y(v):
        return top + (high - top - 40) * (1 - (max(v, least) - least) / (1 - least))

    def line(curves, colour):
        end = max(len(c) for c in curves)
        points = " ".join("%.1f,%.1f" % (x(i + 1), y(bar(curves, i))) for i in range(0, end, 3))
        return '<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (colour, points)

    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">' % (wide, high), '<rect width="100%" height="100%" fill="white"/>']
    for v in (0.6, 0.7, 0.8, 0.9, 1.0):
        parts.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.1f</text>' % (left, wide - 16, y(v), y(v), left - 6, y(v) + 4, v))
    for step in range(0, longest + 1, 100):
        parts.append('<text x="%.1f" y="%d" text-anchor="middle">%d</text>' % (x(step), high - 24, step))
    parts.append('<text x="%d" y="%d" text-anchor="middle">training steps of all trials</text>' % ((wide + left) // 2, high - 6))
    parts.append(line(random, "#888"))
    parts.append(line(tpe, "#06c"))
    parts.append('<text x="%d" y="%d" fill="#06c">TPE with ASHA</text><text x="%d" y="%d" fill="#666">random search</text>' % (wide - 150, high - 90, wide - 150, high - 72))
    parts.append('<text x="%d" y="%d">best accuracy so far, median of %d seeds</text></svg>' % (left + 8, top + 12, len(random)))
    return "\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--amlflow", default="amlflow")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--random", type=int, default=30, help="trials of random search")
    parser.add_argument("--tpe", type=int, default=48, help="trials of TPE with ASHA")
    parser.add_argument("--out", default=".", help="folder for tuning.svg; the table goes to the output")
    args = parser.parse_args()
    args.amlflow = shutil.which(args.amlflow) and os.path.abspath(shutil.which(args.amlflow))
    rows, curves, finals, reached, kept = [], {"random": [], "tpe": []}, [], 0, 0
    for seed in range(args.first, args.first + args.seeds):
        r, t = sweep(args, "random", args.random, seed), sweep(args, "tpe", args.tpe, seed)
        curves["random"].append(r[2])
        curves["tpe"].append(t[2])
        most = r[2][-1]
        first = next((i + 1 for i, v in enumerate(t[2]) if v >= most), None)
        reached += first is not None and 2 * first <= r[0]
        kept += t[1] >= r[1] and 2 * t[0] <= r[0]
        finals.append((r[1], t[1], t[0] / r[0]))
        after = "never" if first is None else "%d (%.0f %%)" % (first, 100 * first / r[0])
        rows.append("| %d | %d | %.4f | %.4f | %d (%.0f %%) | %.4f | %s | %.4f |" % (seed, r[0], most, r[1], t[0], 100 * t[0] / r[0], t[2][-1], after, t[1]))
        print(rows[-1], flush=True)
    print("\n| seed | random: steps | best reported | its model | TPE with ASHA: steps | best reported | as good as random after | its model |\n|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print("\nas good as random search with at most half the steps: %d of %d seeds by what was reported, %d by the model" % (reached, args.seeds, kept))
    print("mean accuracy of the model: random %.4f, TPE with ASHA %.4f with %.0f %% of the steps" % (statistics.mean(f[0] for f in finals), statistics.mean(f[1] for f in finals), 100 * statistics.mean(f[2] for f in finals)))
    with open(os.path.join(args.out, "tuning.svg"), "w") as file:
        file.write(plot(curves["random"], curves["tpe"]))


if __name__ == "__main__":
    main()
