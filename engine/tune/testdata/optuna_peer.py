"""Has Optuna search the functions of functions_test.go, for docs/tuning.md. For developers: pip install optuna.

    python3 optuna_peer.py SEEDS PARALLEL

prints, for each function, the median over seeds of what is left to the optimum after 30 and 60 trials.
"""

import math
import random
import statistics
import sys
import warnings

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")

WEIGHT = [1, 1.2, 3, 3.2]
A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
P = [[0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886], [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991], [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650], [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381]]


def reals(t, low, high, n):
    return [t.suggest_float("x%d" % i, low, high) for i in range(n)]


def branin(t):
    x, y = t.suggest_float("x", -5, 10), t.suggest_float("y", 0, 15)
    a = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6
    return a * a + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.397887


def hartmann(t):
    v = reals(t, 0, 1, 6)
    return 3.32237 - sum(w * math.exp(-sum(a * (x - p) ** 2 for a, x, p in zip(r, v, q))) for w, r, q in zip(WEIGHT, A, P))


def rosenbrock(t):
    v = reals(t, -5, 10, 4)
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(v, v[1:]))


def ackley(t):
    v = reals(t, -20, 32, 5)
    return -20 * math.exp(-0.2 * math.sqrt(sum(x * x for x in v) / 5)) - math.exp(sum(math.cos(2 * math.pi * x) for x in v) / 5) + 20 + math.e


def learning(t):
    lr, decay = math.log10(t.suggest_float("lr", 1e-6, 1, log=True)), math.log10(t.suggest_float("decay", 1e-8, 1, log=True))
    v = 0.3 * (lr + 2.5) ** 2 + 0.05 * (lr + decay + 6) ** 2 + 0.02 * t.suggest_float("dropout", 0, 0.7) + math.log2(t.suggest_int("width", 8, 1024, log=True) / 96) ** 2 / 40
    v += {"adam": 0, "sgd": 0.15, "rmsprop": 0.06, "lion": 0.3}[t.suggest_categorical("optimizer", ["sgd", "adam", "rmsprop", "lion"])]
    return v + (0 if t.suggest_categorical("norm", [False, True]) else 0.1)


def mixed(t):
    # Optuna has no normal distribution: the middle 99.7 % of it, evenly.
    v = abs(t.suggest_float("x", 0, 1) - 0.7) + abs(t.suggest_float("d", -6, 6) - 1) / 4
    v += 0.5 * (t.suggest_categorical("model", list("abcdef")) != "d")
    return v + 0.2 * (not t.suggest_categorical("wide", [False, True]))


def quadratic(t):
    x, lr, n = t.suggest_float("x", -10, 10), math.log10(t.suggest_float("lr", 1e-5, 1, log=True)), t.suggest_int("n", 1, 64)
    return (x - 3) ** 2 / 100 + (lr + 2) ** 2 / 4 + (n - 20) ** 2 / 1000


def interacting(t):
    m = t.suggest_categorical("model", ["linear", "tree", "net"])
    at, worse = {"linear": (0.2, 0.1), "tree": (0.8, 0), "net": (0.5, 0.05)}[m]
    return worse + 3 * (t.suggest_float("x", 0, 1) - at) ** 2 + 2 * (t.suggest_float("y", 0, 1, step=0.05) - at * at) ** 2


def rosenbrock2(t):
    x, y = reals(t, -2, 2, 2)
    return 100 * (y - x * x) ** 2 + (1 - x) ** 2


def rastrigin(n):
    return lambda t: 10 * n + sum(x * x - 10 * math.cos(2 * math.pi * x) for x in reals(t, -5.12, 5.12, n))


def ackley2(t):
    v = reals(t, -32, 32, 2)
    return -20 * math.exp(-0.2 * math.sqrt(sum(x * x for x in v) / 2)) - math.exp(sum(math.cos(2 * math.pi * x) for x in v) / 2) + 20 + math.e


def camel(t):
    x, y = t.suggest_float("x", -3, 3), t.suggest_float("y", -2, 2)
    return (4 - 2.1 * x * x + x**4 / 3) * x * x + x * y + (-4 + 4 * y * y) * y * y + 1.0316284535


def decades(t):
    return (math.log10(t.suggest_float("lr", 1e-8, 1, log=True)) + 3.3) ** 2


def medley(t):
    v = camel(t) + decades(t) + abs(t.suggest_int("n", 1, 1000, log=True) - 37) / 100 + abs(t.suggest_float("q", 0, 10, step=0.5) - 7.5) / 5
    return v + abs(t.suggest_float("w", -6, 6, step=0.5)) / 10 + (t.suggest_categorical("k", [1, 2.5, "adam", True]) != 2.5)


# Those of strangers_test.go, with 100 trials one at a time: python3 optuna_peer.py SEEDS strangers
STRANGERS = [
    ("rosenbrock 2", rosenbrock2), ("rastrigin 2", rastrigin(2)), ("rastrigin 5", rastrigin(5)), ("ackley 2", ackley2), ("six-hump camel", camel),
    ("8 decades", decades), ("sphere 10", lambda t: sum((x - 1) ** 2 for x in reals(t, -5, 5, 10))), ("medley", medley),
]


def strangers(seeds):
    for name, f in STRANGERS:
        left = []
        for seed in range(seeds):
            study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
            study.optimize(f, n_trials=100)
            left.append(study.best_value)
        print("%-18s %.4g" % (name, statistics.median(left)), flush=True)


PROBLEMS = [("branin", branin, 0), ("hartmann 6", hartmann, 0), ("rosenbrock 4", rosenbrock, 0), ("ackley 5", ackley, 0), ("learning", learning, 0), ("mixed", mixed, 0), ("quadratic", quadratic, 0), ("interacting", interacting, 0), ("learning, noisy", learning, 0.05), ("quadratic, noisy", quadratic, 0.05)]


def search(f, noise, sampler, seed, parallel, trials=60):
    study = optuna.create_study(sampler=sampler)
    chance, under, above, seen, best = random.Random(seed), [], [], math.inf, math.inf
    for _ in range(trials):
        if len(under) >= parallel:
            study.tell(*under.pop(0))
        t = study.ask()
        true = f(t)
        value = true + noise * chance.gauss(0, 1)
        if value < seen:
            seen, best = value, true
        above.append(best)
        under.append((t, value))
    return above[29], above[59]


def main():
    if sys.argv[2] == "strangers":
        return strangers(int(sys.argv[1]))
    seeds, parallel = int(sys.argv[1]), int(sys.argv[2])
    kinds = {
        "optuna": lambda s: optuna.samplers.TPESampler(seed=s, constant_liar=parallel > 1),
        "multivariate": lambda s: optuna.samplers.TPESampler(seed=s, multivariate=True, constant_liar=parallel > 1),
        "random": lambda s: optuna.samplers.RandomSampler(seed=s),
    }
    logs = {k: [0, 0] for k in kinds}
    for name, f, noise in PROBLEMS:
        row = {}
        for kind, make in kinds.items():
            all = [search(f, noise, make(seed), seed, parallel) for seed in range(seeds)]
            row[kind] = [statistics.median(a[i] for a in all) for i in (0, 1)]
        for kind in kinds:
            for i in (0, 1):
                logs[kind][i] += math.log(max(row[kind][i], 1e-4) / row["random"][i]) / len(PROBLEMS)
        print("%-18s" % name, *("%s %.4f %.4f;" % (k, *v) for k, v in row.items()), flush=True)
    print("geometric mean of random's:", *("%s %.3f %.3f;" % (k, math.exp(v[0]), math.exp(v[1])) for k, v in logs.items()))


if __name__ == "__main__":
    main()
