import os
import subprocess
import sys
import tempfile
import unittest

PROGRAM = os.path.join(os.environ["SCRIPTS"], "notebook_run.py")

# What the program needs of nbformat and nbclient, as files: they are not always installed.
NBFORMAT = """
import json, types
class Cell(dict):
    pass
class Book:
    def __init__(self, cells): self.cells = cells
def read(path, as_version):
    return Book([Cell(c) for c in json.load(open(path))["cells"]])
def write(book, path):
    json.dump({"cells": book.cells}, open(path, "w"))
v4 = types.SimpleNamespace(new_code_cell=lambda source, metadata: Cell(source=source, metadata=metadata))
"""
NBCLIENT = """
class NotebookClient:
    def __init__(self, book, **more): self.book, self.more = book, more
    def execute(self):
        names = {}
        print(self.more["kernel_name"], self.more["timeout"], self.more["resources"]["metadata"]["path"])
        for cell in self.book.cells:
            exec(cell["source"], names)
"""
BOOK = '{"cells": [{"source": "a = 1"}, {"source": "b = 2", "metadata": {"tags": ["parameters"]}}, {"source": "print(\'sum\', a, b); assert b != 4"}]}'


class NotebookRun(unittest.TestCase):
    def run_it(self, book=BOOK, installed=True, **more):
        folder = tempfile.mkdtemp(dir=os.environ["TMPDIR"])
        for name, text in (("deep/n.ipynb", book), ("lib/nbformat.py", NBFORMAT), ("lib/nbclient.py", NBCLIENT if installed else "raise ImportError('no')")):
            os.makedirs(os.path.dirname(f"{folder}/{name}"), exist_ok=True)
            with open(f"{folder}/{name}", "w") as f:
                f.write(text)
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": folder + "/lib", "NOTEBOOK": "deep/n.ipynb", "NOTEBOOK_VALUES": "", "NOTEBOOK_KERNEL": "python3", "NOTEBOOK_TIMEOUT": "0", "AMLFLOW_OUTPUT_NOTEBOOK": folder + "/out.ipynb", **more}
        done = subprocess.run([sys.executable, PROGRAM], env=env, cwd=folder, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr, os.path.exists(folder + "/out.ipynb")

    def test_runs(self):
        code, log, kept = self.run_it()
        self.assertEqual((code, kept), (0, True), log)
        self.assertIn("sum 1 2", log)
        self.assertIn("python3 None deep", log)

    def test_values(self):
        code, log, _ = self.run_it(NOTEBOOK_VALUES='b = 3\na="x"\nc = it\'s text\n\n', NOTEBOOK_TIMEOUT="9")
        self.assertEqual(code, 0, log)
        self.assertIn("sum x 3", log)
        self.assertIn("python3 9 deep", log)

    def test_fails(self):
        code, log, kept = self.run_it(NOTEBOOK_VALUES="b=4")
        self.assertEqual((code, kept), (1, True))
        self.assertIn("the notebook failed: AssertionError", log)

    def test_what_cannot_work(self):
        for more, want in (({"installed": False}, "pip install nbclient ipykernel"), ({"NOTEBOOK": "no.ipynb"}, "there is no notebook 'no.ipynb'"), ({"book": "{"}, "cannot be run"), ({"NOTEBOOK_VALUES": "a b"}, "NAME=VALUE"), ({"NOTEBOOK_VALUES": "import os;x=1"}, "NAME=VALUE")):
            code, log, _ = self.run_it(**more)
            self.assertEqual(code, 1)
            self.assertIn(want, log)


if __name__ == "__main__":
    unittest.main()
