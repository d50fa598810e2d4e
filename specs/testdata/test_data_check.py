import contextlib
import io
import os
import tempfile
import unittest

import data_check


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class DataCheck(unittest.TestCase):
    def run_on(self, text, columns, **more):
        """Runs the program, and returns how it ended, the report and the metrics."""
        folder = tempfile.mkdtemp(dir=os.environ["TMPDIR"])
        env = {"AMLFLOW_INPUT_DATA": folder + "/data", "AMLFLOW_OUTPUT_REPORT": folder + "/report", "AMLFLOW_METRICS": folder + "/metrics",
               "CHECK_COLUMNS": columns, "CHECK_STRICT": "false", "CHECK_MIN_ROWS": "1", "CHECK_DELIMITER": ",", **more}
        with open(env["AMLFLOW_INPUT_DATA"], "w", encoding="utf-8") as f:
            f.write(text)
        end = None
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                data_check.main(env)
            except SystemExit as e:
                end = str(e.code)
        report = read(env["AMLFLOW_OUTPUT_REPORT"]) if os.path.exists(env["AMLFLOW_OUTPUT_REPORT"]) else ""
        return end, report, read(env["AMLFLOW_METRICS"]) if os.path.exists(env["AMLFLOW_METRICS"]) else ""

    def test_in_order(self):
        csv = '\ufeffage,name,ok,day,"a b"\n1,x,true,2026-01-31,0.5\n2,"y, z",0,2026-02-01,1e3\n'
        columns = "# people\nage integer min=0 max=120 unique\nname text min=1 max=9\n\nok boolean\nday date min=2026-01-01\n'a b' number\ngone text optional\n"
        end, report, metrics = self.run_on(csv, columns, CHECK_STRICT="true")
        self.assertIsNone(end, report)
        self.assertIn("2 rows, in order", report)
        self.assertEqual(metrics, '{"rows": 2, "mistakes": 0}\n')
        end, report, _ = self.run_on('{"age": 1, "name": "x", "ok": true}\n\n{"age": 2, "name": null, "ok": false}\n', "age integer\nname text nulls=0.5\nok boolean")
        self.assertIsNone(end, report)

    def test_mistakes(self):
        rows = "age,name,day,extra\n" + "-1,toolong,2026-13-01,x\n200,,x,x\nabc,a,2026-01-01,x\n7,b,2026-01-01,x\n7,b,2026-01-01,x\n"
        end, report, metrics = self.run_on(rows, "age integer min=0 max=120 unique\nname text max=5 in=a|b pattern=[a-z]\nday date\nlost text\n", CHECK_STRICT="true", CHECK_MIN_ROWS="9")
        self.assertIn("the data is not as declared", end)
        for part in ("it is less than 0 (line 2: -1)", "it is more than 120", "is not an integer (line 4: abc)", "it is there more than once (line 6: 7)", "it is longer than 5", "1 of 5 values are missing",
                     "2 values: it is not a date", "there is no column 'lost'", "column 'extra' was not declared", "fewer than 9"):
            self.assertIn(part, report)
        self.assertNotIn('"mistakes": 0', metrics)

    def test_types_of_json(self):
        for value, kind, good in (("1", "integer", True), ("1.5", "integer", False), ("true", "integer", False), ('"7"', "integer", True), ("1.5", "number", True), ("NaN", "number", False), ('"nan"', "number", False),
                                  ("1", "text", False), ("[1]", "text", False), ("true", "boolean", True), ("2", "boolean", False), ('"2026-01-31"', "date", True), ("20260131", "date", False), ("1e999", "number", False)):
            end, report, _ = self.run_on('{"x": %s}\n' % value, f"x {kind}")
            self.assertEqual(end is None, good, f"{value} as {kind}: {report}")

    def test_unreadable(self):
        for text, want in (("a,b\n1\n", "line 2 has 1 values"), ('a\n"x\n', "cannot be read"), ('{"a": 1\n', "cannot be read"), ('{"a": 1}\n[]\n', "line 2 holds no object"), ("a,a\n1,2\n", "is there 2 times"), ("", "no column")):
            end, report, _ = self.run_on(text, "a text optional" if text else "a text")
            self.assertIn(want, report)
            self.assertIsNotNone(end)

    def test_declarations(self):
        for columns, want in (("", "no column is declared"), ("a", "NAME TYPE"), ("a money", "NAME TYPE"), ("a text big", "'big' is none of"), ("a integer min=x", "column 'a'"), ("a text pattern=(", "column 'a'"), ("'a text", "quotation")):
            end, _, _ = self.run_on("a\n1\n", columns)
            self.assertIn(want, end)
        self.assertIn("one character", self.run_on("a\n1\n", "a text", CHECK_DELIMITER="::")[0])
        self.assertIsNone(self.run_on("a\tb\n1\t2\n", "a integer", CHECK_DELIMITER="\\t")[0])


if __name__ == "__main__":
    unittest.main()
