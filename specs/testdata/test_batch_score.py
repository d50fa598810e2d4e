import json
import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.join(os.environ["SCRIPTS"], "batch_score.py")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class BatchScore(unittest.TestCase):
    def score(self, script, files=9, **more):
        """Runs the program on files that hold 0, 1, …; returns how it ended, the predictions and the log."""
        folder = tempfile.mkdtemp(dir=os.environ["TMPDIR"])
        os.makedirs(folder + "/data/deep")
        for i in range(files):
            with open(f"{folder}/data/{'deep/' if i % 2 else ''}{i}.txt", "w") as f:
                f.write(str(i))
        if script is not None:
            with open(folder + "/score.py", "w") as f:
                f.write(script)
        env = {"PATH": os.environ["PATH"], "AMLFLOW_INPUT_DATA": folder + "/data", "AMLFLOW_OUTPUT_PREDICTIONS": folder + "/predictions", "AMLFLOW_METRICS": folder + "/metrics", "BATCH_SCRIPT": "score.py",
               "BATCH_FILES": "*", "BATCH_PROCESSES": "3", "BATCH_RETRIES": "1", "BATCH_ALLOWED": "0", **more}
        done = subprocess.run([sys.executable, PROGRAM], env=env, cwd=folder, capture_output=True, text=True, timeout=60)
        out = env["AMLFLOW_OUTPUT_PREDICTIONS"]
        rows = [json.loads(line) for line in read(out).splitlines()] if os.path.exists(out) else []
        self.metrics = read(env["AMLFLOW_METRICS"]) if os.path.exists(env["AMLFLOW_METRICS"]) else ""
        return done.returncode, rows, done.stdout + done.stderr

    def test_scores(self):
        code, rows, log = self.score("import helper_of_ours as h\nn = None\ndef init():\n  global n\n  n = 10\n  print('init')\ndef run(path):\n  print('noise')\n  return h.read(path) * n\n".replace("import helper_of_ours as h", "class h:\n  read = staticmethod(lambda p: int(open(p).read()))"))
        self.assertEqual(code, 0, log)
        self.assertEqual({r["file"]: r["prediction"] for r in rows}, {f"{'deep/' if i % 2 else ''}{i}.txt": i * 10 for i in range(9)})
        self.assertEqual([r["file"] for r in rows], sorted(r["file"] for r in rows))
        self.assertEqual(self.metrics, '{"files": 9, "failed": 0}\n')
        self.assertIn("noise", log)

    def test_lists_and_patterns(self):
        code, rows, log = self.score("def run(path): return [1, {'a': 2}]\n", BATCH_FILES="3.*", BATCH_PROCESSES="0")
        self.assertEqual((code, rows), (0, [{"file": "deep/3.txt", "prediction": 1}, {"file": "deep/3.txt", "prediction": {"a": 2}}]), log)

    def test_failures(self):
        script = "import os\ndef run(path):\n  n = int(open(path).read())\n  if n == 3: raise ValueError('three')\n  if n == 4: os._exit(7)\n  if n == 5: return float('nan')\n  return n\n"
        code, rows, log = self.score(script, BATCH_ALLOWED="3")
        self.assertEqual((code, len(rows)), (0, 6), log)
        for part in ("ValueError: three", "ended with 7", "3 failed"):
            self.assertIn(part, log)
        code, _, log = self.score(script, BATCH_ALLOWED="2")
        self.assertEqual(code, 1)
        self.assertIn("3 of 9 files failed, and 2 may", log)

    def test_retries(self):
        script = "import os\ndef run(path):\n  mark = path + '.tried'\n  if not os.path.exists(mark):\n    open(mark, 'w').close()\n    raise OSError('once')\n  return 1\n"
        self.assertEqual(self.score(script)[0], 0)
        self.assertEqual(self.score(script, BATCH_RETRIES="0")[0], 1)

    def test_what_cannot_work(self):
        for script, more, want in ((None, {}, "there is no 'score.py'"), ("x = 1\n", {}, "no function run"), ("def init(): 1/0\ndef run(p): return 1\n", {}, "ZeroDivisionError"), ("syntax error\n", {}, "SyntaxError"),
                                   ("def run(p): return 1\n", {"BATCH_FILES": "*.png"}, "there is no file '*.png'")):
            code, _, log = self.score(script, **more)
            self.assertEqual(code, 1)
            self.assertIn(want, log)


if __name__ == "__main__":
    unittest.main()
