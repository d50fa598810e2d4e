"""Tests of the example, with real processes: python3 -m unittest"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import allreduce
import evaluate
import metrics
import prepare
import report
import rows
import score
import softmax
import train

HERE = os.path.dirname(os.path.abspath(__file__))
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "AMLFLOW_METRICS", "AMLFLOW_OUTPUTS", "AMLFLOW_MODEL")
EVERYTHING = rows.read(prepare.SOURCE)
LIMIT = 60  # seconds after which a process that should have ended is a failed test


def environment(**more):
    """Returns this process's variables, less those that mean something to the scripts, and with some more."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return dict(kept, PYTHONDONTWRITEBYTECODE="1", **more)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def rank_environment(rank, size, port, **more):
    return environment(RANK=str(rank), WORLD_SIZE=str(size), MASTER_ADDR="127.0.0.1", MASTER_PORT=port, **more)


class Folder(unittest.TestCase):
    """A test with a folder of its own, in which scripts can be run."""

    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def text(self, *names):
        with open(self.path(*names), encoding="utf-8") as file:
            return file.read()

    def start(self, script, *args, env=None):
        """Starts a script as amlflow would; it is ended with the test."""
        process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, script)] + list(args),
            cwd=self.folder, env=env or environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
        )
        self.addCleanup(self.end, process)
        return process

    @staticmethod
    def end(process):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()

    def call(self, script, *args, env=None):
        """Runs a script to its end; returns (exit code, stdout, stderr)."""
        process = self.start(script, *args, env=env)
        out, err = process.communicate(timeout=LIMIT)
        return process.returncode, out, err

    def prepare(self, count):
        code, _, err = self.call("prepare.py", "--rows", str(count), "--out", self.path("data"))
        self.assertEqual((code, err), (0, ""))

    def start_ranks(self, size, *args, model="model"):
        """Starts all ranks of one training."""
        port = free_port()
        common = ("--data", self.path("data"), "--model", self.path(model)) + args
        return [
            self.start("train.py", *common, env=rank_environment(rank, size, port, AMLFLOW_METRICS=self.path("metrics")))
            for rank in range(size)
        ]


class Prepare(Folder):
    def test_same_count_same_bytes(self):
        written = []
        for _ in range(2):
            self.prepare(200)
            written.append([self.text("data", name) for name in ("train.csv", "test.csv", "about.json")])
        self.assertEqual(*written)

    def test_three_quarters_train_and_each_digit_is_held_out_in_proportion(self):
        for count in (50, 500, 1797):
            training, held_out = prepare.split(EVERYTHING, count)
            self.assertEqual((len(held_out), len(training)), (count // 4, count - count // 4))
            for digit in range(rows.DIGITS):
                held, all_of_it = [sum(row[1] == digit for row in part) for part in (held_out, held_out + training)]
                self.assertLessEqual(abs(held - all_of_it / 4), 1, "digit %d of %d rows" % (digit, count))

    def test_all_rows_are_used_once(self):
        training, held_out = prepare.split(EVERYTHING, 1797)
        self.assertEqual(sorted(training + held_out), sorted(EVERYTHING))

    def test_pixels_are_normalised_and_exact_on_file(self):
        self.prepare(50)
        training, held_out = rows.read_split(self.path("data"))
        self.assertEqual((training, held_out), tuple(map(prepare.normalise, prepare.split(EVERYTHING, 50))))
        self.assertEqual(max(max(pixels) for pixels, _ in training), 1.0)

    def test_too_few_and_too_many(self):
        for count in ("49", "1798"):
            code, _, err = self.call("prepare.py", "--rows", count, "--out", self.path("data"))
            self.assertNotEqual(code, 0)
            self.assertIn("rows must be between 50 and 1797, got " + count, err)
            self.assertFalse(os.path.exists(self.path("data")))


class Train(Folder):
    def check_accuracy(self, count, least):
        self.prepare(count)
        env = environment(AMLFLOW_METRICS=self.path("metrics"))
        code, out, err = self.call("train.py", "--data", self.path("data"), "--model", self.path("model"), env=env)
        self.assertEqual((code, err), (0, ""))
        lines = [json.loads(line) for line in self.text("metrics").splitlines()]
        self.assertEqual([line.get("step") for line in lines], list(range(1, train.EPOCHS + 1)) + [None])
        self.assertLess(lines[-2]["loss"], lines[0]["loss"])
        self.assertGreaterEqual(lines[-1]["accuracy"], least)
        self.assertIn("epoch %d: loss" % train.EPOCHS, out)

    def test_accuracy_with_500_rows(self):
        self.check_accuracy(500, 0.90)

    def test_accuracy_with_all_rows(self):
        self.check_accuracy(1797, 0.95)

    def test_same_data_same_model(self):
        self.prepare(100)
        for model in ("one", "two"):
            self.call("train.py", "--data", self.path("data"), "--model", self.path(model))
        self.assertEqual(self.text("one", "model.json"), self.text("two", "model.json"))

    def test_a_step_goes_down_the_mean_gradient_and_on_with_the_last_step(self):
        weights, velocity = [[2.0] * train.WIDTH], [[0.0] * train.WIDTH]
        first = -train.STEP * (3.0 + train.DECAY * 2.0)
        train.step(weights, velocity, [30.0] * train.WIDTH, size=10)
        self.assertAlmostEqual(weights[0][64], 2.0 + first)
        train.step(weights, velocity, [0.0] * train.WIDTH, size=10)
        second = train.MOMENTUM * first - train.STEP * train.DECAY * (2.0 + first)
        self.assertAlmostEqual(weights[0][0], 2.0 + first + second)

    def test_no_data(self):
        code, _, err = self.call("train.py", "--data", self.path("none"), "--model", self.path("model"))
        self.assertNotEqual(code, 0)
        self.assertIn("train.csv", err)
        self.assertNotIn("Traceback", err)


class Ranks(Folder):
    def test_several_ranks_train_the_model_of_one(self):
        self.prepare(130)  # 98 to train on: one batch, whose shares differ in size
        self.call("train.py", "--data", self.path("data"), "--model", self.path("alone"))
        alone, _ = softmax.load(self.path("alone"))
        for size in (2, 3):
            model = "of%d" % size
            for process in self.start_ranks(size, model=model):
                _, err = process.communicate(timeout=LIMIT)
                self.assertEqual((process.returncode, err), (0, ""))
            together, _ = softmax.load(self.path(model))
            for expected, got in zip(sum(alone, []), sum(together, [])):
                self.assertAlmostEqual(expected, got, delta=2e-6)  # stored weights have six decimals
            steps = [json.loads(line) for line in self.text("metrics").splitlines()]
            self.assertEqual(len(steps), train.EPOCHS + 1, "only rank 0 reports metrics")
            os.remove(self.path("metrics"))

    def test_shares_add_up_to_the_batch(self):
        table = prepare.normalise(EVERYTHING[:10])
        weights = [[0.01 * (digit - pixel % 7) for pixel in range(train.WIDTH)] for digit in range(rows.DIGITS)]
        whole = train.Batch(table, allreduce.Group()).sums(weights)
        for size in (2, 3, 12):  # with 12, two ranks have no row at all
            shares = [train.Batch(table, allreduce.Group(rank, size)).sums(weights) for rank in range(size)]
            for expected, *parts in zip(whole, *shares):
                self.assertAlmostEqual(expected, sum(parts), places=12)

    def test_a_killed_rank_ends_the_others(self):
        for victim in (0, 1):
            self.prepare(50)
            ranks = self.start_ranks(2, "--epochs", "100000000")
            while "epoch 3:" not in ranks[0].stdout.readline():
                self.assertIsNone(ranks[0].poll())
            drain = threading.Thread(target=ranks[0].stdout.read)  # lest it block on a full pipe
            drain.start()
            os.kill(ranks[victim].pid, signal.SIGKILL)
            survivor = ranks[1 - victim]
            self.assertEqual(survivor.wait(timeout=LIMIT), train.TRY_AGAIN)
            self.assertIn("rank %d lost rank %d of 2" % (1 - victim, victim), survivor.stderr.read())
            self.assertFalse(os.path.exists(self.path("model")))
            ranks[victim].wait(timeout=LIMIT)
            drain.join(timeout=LIMIT)


class Join(unittest.TestCase):
    def together(self, *givens):
        """Has ranks join in threads, each summing its given list; returns what each got, or its exception."""
        port, got = free_port(), [None] * len(givens)

        def one(rank):
            try:
                with allreduce.join(rank_environment(rank, len(givens), port), patience=10) as group:
                    got[rank] = group.sum(givens[rank])
            except Exception as problem:
                got[rank] = problem

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(len(givens))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=LIMIT)
        return got

    def test_everyone_gets_the_sum(self):
        self.assertEqual(self.together([1.0, 0.5], [2.0, -1.0], [4.0, 1e300]), [[7.0, 1e300]] * 3)

    def test_alone(self):
        with allreduce.join({}) as group:
            self.assertEqual((group.rank, group.size, group.sum([3.0])), (0, 1, [3.0]))

    def test_lists_of_two_lengths(self):
        got = self.together([1.0, 2.0], [1.0])
        self.assertIsInstance(got[0], allreduce.LostPeer)
        self.assertIn("8 bytes where 16 were due", str(got[0]))

    def test_nobody_comes(self):
        for rank, message in ((0, r"these never came: \[1\]"), (1, "found no rank 0")):
            with self.assertRaisesRegex(allreduce.LostPeer, message):
                allreduce.join(rank_environment(rank, 2, free_port()), patience=0.2)

    def test_strangers_are_turned_away(self):
        port, sums = free_port(), []

        def master():
            with allreduce.join(rank_environment(0, 2, port), patience=10) as group:
                sums.append(group.sum([1.0]))

        thread = threading.Thread(target=master)
        thread.start()
        with self.stranger(port) as stranger:
            self.assertEqual(stranger.recv(1), b"", "rank 0 should hang up")
        with allreduce.join(rank_environment(1, 2, port), patience=10) as group:
            self.assertEqual(group.sum([2.0]), [3.0])
        thread.join(timeout=LIMIT)
        self.assertEqual(sums, [[3.0]])

    @staticmethod
    def stranger(port):
        while True:
            with contextlib.suppress(ConnectionRefusedError):
                caller = socket.create_connection(("127.0.0.1", int(port)), timeout=LIMIT)
                caller.sendall(b"GET / HTTP/1")  # as long as a greeting, and none
                return caller

    def test_a_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            with self.assertRaisesRegex(allreduce.LostPeer, "cannot listen at 127.0.0.1:" + port):
                allreduce.join(rank_environment(0, 2, port))

    def test_variables_that_make_no_sense(self):
        for variables, message in (
            ({"WORLD_SIZE": "two"}, "WORLD_SIZE must be a whole number, got 'two'"),
            ({"WORLD_SIZE": "2", "RANK": "2"}, "RANK must be 0 to WORLD_SIZE-1"),
            ({"WORLD_SIZE": "2", "RANK": "1"}, "need MASTER_ADDR and MASTER_PORT"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                allreduce.join(variables)


class Evaluate(Folder):
    def test_reports_for_programs_people_and_amlflow(self):
        self.prepare(100)
        self.call("train.py", "--data", self.path("data"), "--model", self.path("model"))
        env = environment(AMLFLOW_METRICS=self.path("metrics"), AMLFLOW_OUTPUTS=self.path("outputs"))
        args = ("--data", self.path("data"), "--model", self.path("model"), "--out", self.path("report"))
        code, out, err = self.call("evaluate.py", *args, env=env)
        self.assertEqual((code, err), (0, ""))
        found = json.loads(self.text("report", "report.json"))
        self.assertEqual(sum(map(sum, found["confusion"])), 25)
        self.assertEqual(json.loads(self.text("metrics")), {"accuracy": found["accuracy"]})
        self.assertEqual(json.loads(self.text("outputs")), {"worst_digit": found["worst_digit"]})
        self.assertEqual(self.text("report", "report.txt"), out)

    def test_judging_a_known_table(self):
        counts = [[0] * rows.DIGITS for _ in range(rows.DIGITS)]
        counts[1][1], counts[2][2], counts[2][7] = 6, 1, 3
        found = evaluate.judge(counts)
        self.assertEqual((found["rows"], found["accuracy"], found["worst_digit"]), (10, 0.7, 2))
        self.assertEqual(found["recall"][:4], [None, 1.0, 0.25, None])


class Score(Folder):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(HERE, "sample.json"), encoding="utf-8") as file:
            cls.sample = json.load(file)

    def serve(self, count):
        """Trains on count rows and loads the model as an endpoint would."""
        training, _ = prepare.split(EVERYTHING, count)
        softmax.save(self.folder, train.train(prepare.normalise(training), allreduce.Group()), rows.WHITE)
        os.environ["AMLFLOW_MODEL"] = self.folder
        self.addCleanup(os.environ.pop, "AMLFLOW_MODEL")
        score.init()

    def test_the_sample_is_named(self):
        self.serve(500)
        answer = score.run(self.sample)
        (normalised, _), = prepare.normalise([(self.sample["pixels"], 6)])
        digit, probability = softmax.classify(softmax.load(self.folder)[0], normalised)
        self.assertEqual(answer, {"digit": 6, "probability": round(probability, 4)})
        self.assertGreater(probability, 0.95)
        self.assertEqual(json.loads(json.dumps(answer)), answer)

    def test_the_sample_is_named_with_all_rows(self):
        self.serve(1797)
        self.assertEqual(score.run(self.sample)["digit"], 6)

    def test_the_sample_was_never_trained_on(self):
        for count in (500, 1797):
            _, held_out = prepare.split(EVERYTHING, count)
            self.assertIn(([float(pixel) for pixel in self.sample["pixels"]], 6), held_out)

    def test_requests_of_another_shape(self):
        self.serve(50)
        pixels = self.sample["pixels"]
        for request, message in (
            (None, "got a NoneType"),
            ([1, 2], "got a list"),
            ({"pixel": pixels}, 'got an object without "pixels"'),
            ({"pixels": "6"}, '"pixels" that is no list'),
            ({"pixels": pixels[:63]}, "got 63 pixels"),
            ({"pixels": [17] + pixels[1:]}, "pixel 0 must be a number from 0 to 16, got 17"),
            ({"pixels": pixels[1:] + [True]}, "pixel 63 must be a number from 0 to 16, got True"),
            ({"pixels": [float("nan")] + pixels[1:]}, "pixel 0 .* got nan"),
        ):
            with self.assertRaisesRegex(ValueError, message):
                score.run(request)


class Rest(Folder):
    def test_report_says_what_is_known_and_what_is_not(self):
        code, out, err = self.call("report.py", env=environment(ACCURACY="0.944", STATUS=""))
        self.assertEqual((code, err), (0, ""))
        self.assertEqual([line.split()[-1] for line in out.splitlines()], ["0.944", "far", "far"])

    def test_nothing_is_reported_outside_amlflow(self):
        saved = {name: os.environ.pop(name) for name in VARIABLES if name in os.environ}
        self.addCleanup(os.environ.update, saved)
        metrics.report(loss=1.0)
        metrics.output(digit=1)
        self.assertIn("none", report.line("accuracy", "AMLFLOW_METRICS"))

    def test_a_damaged_table(self):
        for text, message in (("1,2,x\n", "damaged.csv:1: want numbers"), ("1,2,3\n", "got 3 values"), ("", "holds no rows")):
            with open(self.path("damaged.csv"), "w", encoding="utf-8") as file:
                file.write(text)
            with self.assertRaisesRegex(ValueError, message):
                rows.read(self.path("damaged.csv"))


if __name__ == "__main__":
    unittest.main()
