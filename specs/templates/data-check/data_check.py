"""Checks a CSV or JSON Lines file against declared columns, and writes a report."""
import collections
import csv
import datetime
import json
import math
import os
import re
import shlex
import sys

TYPES = ("text", "integer", "number", "boolean", "date")
KEYS = ("min", "max", "nulls", "in", "pattern")
FLAGS = ("unique", "optional")
SHOWN = 5  # examples of each mistake


class Column:
    """One declared column, and what was seen of it."""

    def __init__(self, line):
        words = shlex.split(line)
        if len(words) < 2 or words[1] not in TYPES:
            raise ValueError(f"column {line!r}: write NAME TYPE, where TYPE is one of {', '.join(TYPES)}")
        self.name, self.type = words[0], words[1]
        self.rules, self.flags = {}, set()
        for word in words[2:]:
            key, equals, value = word.partition("=")
            if equals and key in KEYS:
                self.rules[key] = value
            elif not equals and key in FLAGS:
                self.flags.add(key)
            else:
                raise ValueError(f"column {self.name!r}: {word!r} is none of {', '.join(k + '=' for k in KEYS)}, {', '.join(FLAGS)}")
        try:
            self.low, self.high = self.bound("min"), self.bound("max")
            self.nulls = float(self.rules.get("nulls", 0))
            self.pattern = re.compile(self.rules["pattern"]) if "pattern" in self.rules else None
        except (ValueError, re.error) as e:
            raise ValueError(f"column {self.name!r}: {e}") from None
        self.allowed = self.rules["in"].split("|") if "in" in self.rules else None

    def bound(self, key):
        if key not in self.rules:
            return None
        if self.type == "text":
            return int(self.rules[key])  # of the length
        return value_of(self.type, self.rules[key])

    def complaint(self, raw):
        """Says what is wrong with one value that is not missing, or nothing."""
        try:
            value = value_of(self.type, raw)
        except ValueError:
            return f"is not {'an' if self.type == 'integer' else 'a' if self.type != 'text' else ''} {self.type}".replace("  ", " ")
        size = len(value) if self.type == "text" else value
        if self.low is not None and size < self.low:
            return f"is {'shorter' if self.type == 'text' else 'less'} than {self.rules['min']}"
        if self.high is not None and size > self.high:
            return f"is {'longer' if self.type == 'text' else 'more'} than {self.rules['max']}"
        if self.allowed is not None and plain(raw) not in self.allowed:
            return f"is none of {', '.join(self.allowed)}"
        if self.pattern and not self.pattern.fullmatch(plain(raw)):
            return f"does not match {self.rules['pattern']}"
        return None


def plain(raw):
    return raw if isinstance(raw, str) else json.dumps(raw)


def value_of(kind, raw):
    """Reads a value of CSV text or of JSON as a type."""
    if kind == "text":
        if not isinstance(raw, str):
            raise ValueError("not text")
        return raw
    if isinstance(raw, bool) != (kind == "boolean") and not isinstance(raw, str):
        raise ValueError("another type")
    text = plain(raw).strip()
    if kind == "integer":
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,300}", text) else fail()
    if kind == "number":
        number = float(text)
        return number if math.isfinite(number) and "_" not in text else fail()
    if kind == "boolean":
        return {"true": True, "false": False, "1": True, "0": False}[text.lower()] if text.lower() in ("true", "false", "1", "0") else fail()
    return datetime.date.fromisoformat(text) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else fail()


def fail():
    raise ValueError("not of this type")


def missing(raw):
    return raw is None or raw == "" or isinstance(raw, float) and math.isnan(raw)


def rows_of(path, delimiter):
    """Yields the line number and the row, as a dictionary, of each row; first the names of the columns, or nothing."""
    with open(path, encoding="utf-8-sig", newline="") as f:
        head = f.read(4096)
        f.seek(0)
        if head.lstrip().startswith("{"):
            yield 0, None
            for number, line in enumerate(f, 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError(f"line {number} holds no object")
                    yield number, row
            return
        reader = csv.reader(f, delimiter=delimiter, strict=True)
        names = next(reader, [])
        yield 1, names
        for values in reader:
            if values:
                if len(values) != len(names):
                    raise ValueError(f"line {reader.line_num} has {len(values)} values, and there are {len(names)} columns")
                yield reader.line_num, dict(zip(names, values))


class Report:
    """The mistakes of a file."""

    def __init__(self):
        self.rows, self.fatal = 0, []
        self.counts, self.examples = collections.Counter(), collections.defaultdict(list)
        self.nulls = collections.Counter()

    def add(self, column, what, line, raw):
        self.counts[column, what] += 1
        if len(self.examples[column, what]) < SHOWN:
            text = plain(raw)
            self.examples[column, what].append(f"line {line}: {text if len(text) < 40 else text[:39] + '…'}")

    def mistakes(self):
        return len(self.fatal) + sum(self.counts.values())


def check(path, columns, strict=False, min_rows=1, delimiter=","):
    """Checks a file."""
    report, seen, unique = Report(), set(), collections.defaultdict(dict)
    try:
        for line, row in rows_of(path, delimiter):
            if row is None or isinstance(row, list):
                seen.update(row or [])
                for name, times in collections.Counter(row or []).items():
                    if times > 1:
                        report.fatal.append(f"column {name!r} is there {times} times")
                continue
            report.rows += 1
            seen.update(row)
            check_row(report, columns, line, row, unique)
    except (ValueError, csv.Error, RecursionError) as e:
        report.fatal.append(f"it cannot be read: {e}")
        return report
    for c in columns:
        if c.name not in seen:
            if "optional" not in c.flags:
                report.fatal.append(f"there is no column {c.name!r}")
        elif report.rows and report.nulls[c.name] / report.rows > c.nulls:
            report.fatal.append(f"column {c.name!r}: {report.nulls[c.name]} of {report.rows} values are missing, more than a share of {c.nulls:g}")
    if strict:
        report.fatal += [f"column {name!r} was not declared" for name in sorted(seen - {c.name for c in columns})]
    if report.rows < min_rows:
        report.fatal.append(f"it has {report.rows} rows, fewer than {min_rows}")
    return report


def check_row(report, columns, line, row, unique):
    for c in columns:
        raw = row.get(c.name)
        if missing(raw):
            report.nulls[c.name] += 1
            continue
        what = c.complaint(raw)
        if what:
            report.add(c.name, what, line, raw)
        if "unique" in c.flags:
            first = unique[c.name].setdefault(plain(raw), line)
            if first != line:
                report.add(c.name, "is there more than once", line, raw)


def written(report):
    """The report as Markdown."""
    mistakes = report.mistakes()
    lines = ["# Data check", "", f"{report.rows} rows, {'in order' if not mistakes else f'{mistakes} mistakes'}.", ""]
    lines += [f"- {what}" for what in report.fatal]
    for (column, what), count in sorted(report.counts.items()):
        lines.append(f"- column {column!r}: {count} {'value' if count == 1 else 'values'}: it {what} ({'; '.join(report.examples[column, what])})")
    return "\n".join(lines) + "\n"


def columns_of(text):
    lines = [line.strip() for line in text.splitlines()]
    columns = [Column(line) for line in lines if line and not line.startswith("#")]
    if not columns:
        raise ValueError("no column is declared: write NAME TYPE, one a line")
    return columns


def main(env):
    try:
        columns = columns_of(env["CHECK_COLUMNS"])
    except ValueError as e:
        sys.exit(f"`columns`: {e}")
    delimiter = {"\\t": "\t"}.get(env["CHECK_DELIMITER"], env["CHECK_DELIMITER"])
    if len(delimiter) != 1:
        sys.exit(f"`delimiter` must be one character, not {delimiter!r}")
    report = check(env["AMLFLOW_INPUT_DATA"], columns, env["CHECK_STRICT"] == "true", int(env["CHECK_MIN_ROWS"]), delimiter)
    text, mistakes = written(report), report.mistakes()
    print(text)
    with open(env["AMLFLOW_OUTPUT_REPORT"], "w", encoding="utf-8") as f:
        f.write(text)
    with open(env["AMLFLOW_METRICS"], "a", encoding="utf-8") as f:
        f.write(json.dumps({"rows": report.rows, "mistakes": mistakes}) + "\n")
    if mistakes:
        sys.exit(f"the data is not as declared: {mistakes} mistakes")


if __name__ == "__main__":
    main(os.environ)
