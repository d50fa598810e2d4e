"""Makes up reviews: some to learn from, with what people thought, and many new ones."""
import argparse
import os
import random

p = argparse.ArgumentParser()
p.add_argument("--reviews", type=int)
p.add_argument("--known")
p.add_argument("--new")
args = p.parse_args()

WORDS = {
    "good": "lovely bright clever warm honest fresh moving brilliant".split(),
    "bad": "dull slow noisy broken stale awkward endless bleak".split(),
}
FILL = "the film was and its story felt with a cast that had music".split()
rng = random.Random(7)


def review(kind):
    words = [rng.choice(WORDS[kind if rng.random() < 0.8 else "good"]) for _ in range(6)]
    words += [rng.choice(FILL) for _ in range(12)]
    rng.shuffle(words)
    return " ".join(words)


for i in range(200):
    kind = "good" if i % 2 else "bad"
    with open(os.path.join(args.known, "%s-%03d.txt" % (kind, i)), "w") as f:
        f.write(review(kind))
for i in range(args.reviews):
    folder = os.path.join(args.new, "%03d" % (i // 100))
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "%05d.txt" % i), "w") as f:
        f.write("" if i % 50 == 49 else review(rng.choice(["good", "bad"])))  # some people say nothing
