"""Scores what an input holds in mini-batches, and writes the results in the order of the input.

python3 -u batch.py          in a job, with AMLFLOW_BATCH in the environment and the code as
                             working directory; rank 0 deals out mini-batches to the processes
                             of its own node and to the other ranks, which ask it over TCP
python3 -u batch.py --score  one process that scores; started by the other form

The score file defines run(mini_batch), called with a list of paths (or of lines), and perhaps
init(), called once in each process. run returns a list with one result for each item that
succeeded; None stands for one that did not.

What came of a mini-batch is appended to a journal in $AMLFLOW_CHECKPOINT before anything else
is done with it. Whoever begins with that folder goes on behind it: a mini-batch that is in the
journal is not scored again. Standard library only, Python 3.8 or newer.
"""
import sys

if sys.version_info < (3, 8):
    sys.exit("python3 is %d.%d here, and batch scoring needs 3.8 or newer" % sys.version_info[:2])

import collections
import csv
import hashlib
import importlib.util
import io
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
import traceback
import zlib

# Exit statuses; those of sysexits.h where one fits.
TOO_MANY_FAILED = 65
BAD_SCORE_FILE = 66
NO_PEER = 69

MAX_WORDS = 300  # of an error, as it is kept for each item
MAX_SHOWN = 10  # failed items that the log names


def say(text):
    sys.stdout.write("batch: " + text + "\n")
    sys.stdout.flush()


def count(n, unit):
    return "{:,} {}".format(n, unit[:-1] if n == 1 and unit.endswith("s") else unit)


# ---- a process that scores


def load(path):
    """Imports the score file as a module, so that its neighbours can be imported, too."""
    if not os.path.isfile(path):
        raise Refused("%r is not in the code folder" % path)
    folder = os.path.dirname(os.path.abspath(path))
    sys.path[0] = folder
    if os.getcwd() != folder:
        sys.path.insert(1, os.getcwd())
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise Refused("%r is not a Python file: its name must end in .py" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "run", None)):
        raise Refused("%r has no function run(mini_batch): define one (init() is optional)" % path)
    if callable(getattr(module, "init", None)):
        module.init()
    return module.run


class Refused(Exception):
    """A mistake of the person who wrote the score file, in words for them."""


def plain(value):
    """What json does not know: numbers and arrays of numpy, dates, paths."""
    for name in ("item", "tolist"):
        if name == "item" and getattr(value, "size", 1) != 1:
            continue
        convert = getattr(value, name, None)
        if callable(convert):
            return convert()
    return str(value)


def rows_of(result):
    """The results of a mini-batch as a list."""
    if result is None:
        raise Refused("run returned None: return a list with one result for each item that succeeded")
    if hasattr(result, "to_dict") and hasattr(result, "columns"):  # a data frame
        return result.to_dict("records")
    if isinstance(result, (str, bytes, dict)):
        raise Refused("run returned %s: return a list with one result for each item that succeeded" % type(result).__name__)
    return list(result)


def unfit(error):
    """An error in a few words."""
    if isinstance(error, Refused):
        return str(error)[:MAX_WORDS]
    return "".join(traceback.format_exception_only(type(error), error)).strip().replace("\n", " ")[:MAX_WORDS]


def show(error):
    """Prints where in their code people have to look, without what is above that in ours."""
    if isinstance(error, Refused):
        return
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code.co_filename == __file__:
        at = at.tb_next
    traceback.print_exception(type(error), error, at)


def score(spec):
    """Answers mini-batches that come on the one pipe on the other, until there are no more."""
    die_with_parent()
    tasks, answers = os.fdopen(int(sys.argv[2]), "r", encoding="utf-8"), os.fdopen(int(sys.argv[3]), "w", encoding="utf-8")

    def answer(what):
        try:
            answers.write(json.dumps(what, default=plain) + "\n")
            answers.flush()
        except BrokenPipeError:
            os._exit(0)  # nobody waits for it any more

    try:
        run = load(spec["score"])
    except BaseException as error:  # also sys.exit in init()
        show(error)
        answer({"fatal": unfit(error)})
        return
    answer({"ready": True})
    for line in tasks:
        try:
            answer({"rows": rows_of(run(items_of(spec, json.loads(line))))})
        except Exception as error:
            show(error)
            answer({"error": unfit(error)})


def die_with_parent():
    """Linux ends this process with the one that started it; elsewhere it ends with its pipe."""
    try:
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except Exception:
        pass


# ---- what there is to score


def source():
    return os.environ["AMLFLOW_INPUT_BATCH"]


def items_of(spec, task):
    """The items of a mini-batch, as the score file is given them."""
    if spec["items"] == "files":
        root = source()
        return [os.path.join(root, *path.split("/")) for path in task]
    with open(source(), "rb") as f:
        f.seek(task[0])
        text = f.read(task[1] - task[0]).decode("utf-8-sig" if task[0] == 0 else "utf-8")
    if spec["items"] == "csv":
        with open(source(), "r", encoding="utf-8-sig", newline="") as f:
            names = next(csv.reader(f), [])
        return [dict(zip(names, row)) for row in csv.reader(io.StringIO(text, newline="")) if row]
    lines = [line for line in text.split("\n") if line.strip()]
    if spec["items"] == "jsonl":
        return [json.loads(line) for line in lines]
    return [line[:-1] if line.endswith("\r") else line for line in lines]


class Files:
    """The files of a folder, by the order of their paths."""

    def __init__(self, spec):
        self.paths, sizes = [], []
        root = source()
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in files:
                whole = os.path.join(folder, name)
                self.paths.append(os.path.relpath(whole, root).replace(os.sep, "/"))
        self.paths.sort()
        self.total = len(self.paths)
        if spec["bytes"]:
            sizes = [os.path.getsize(os.path.join(root, path)) for path in self.paths]
        self.ends = ends(self.total, spec, sizes)

    def task(self, i):
        return self.paths[self.ends[i - 1] if i else 0 : self.ends[i]]

    def names(self, i):
        return self.task(i)

    def size(self, i):
        return self.ends[i] - (self.ends[i - 1] if i else 0)


class Lines:
    """The lines of a file that are not empty. A record of a CSV file may go over several."""

    def __init__(self, spec):
        self.marks, self.counts, self.total = [], [], 0
        whole = spec["items"] != "csv"
        start = at = n = quotes = 0
        first = spec["items"] == "csv"  # the names of the columns
        with open(source(), "rb") as f:
            for line in f:
                at += len(line)
                quotes += 0 if whole else line.count(b'"')
                if quotes % 2:
                    continue  # inside of a quoted field
                if first:
                    first, start = False, at
                    continue
                if not line.strip() and n == 0:
                    start = at
                elif line.strip():
                    n += 1
                if n and (spec["bytes"] and at - start >= spec["bytes"] or not spec["bytes"] and n >= spec["size"]):
                    self.add(start, at, n)
                    start, n = at, 0
        if n:
            self.add(start, at, n)

    def add(self, start, end, n):
        self.marks.append((start, end, self.total + 1))
        self.counts.append(n)
        self.total += n
        self.ends = self.marks

    ends = ()

    def task(self, i):
        return self.marks[i][:2]

    def names(self, i):
        first = self.marks[i][2]
        return ["item %d" % n for n in range(first, first + self.counts[i])]

    def size(self, i):
        return self.counts[i]


def ends(total, spec, sizes):
    """Where each mini-batch ends: behind so many items, or once it has so many bytes."""
    if not spec["bytes"]:
        return [min(i, total) for i in range(spec["size"], total + spec["size"], spec["size"])]
    out, n = [], 0
    for i, size in enumerate(sizes):
        n += size
        if n >= spec["bytes"] or i == total - 1:
            out.append(i + 1)
            n = 0
    return out


# ---- what came of it


class Journal:
    """The results of mini-batches, in the order in which they came.

    It is a folder of files that only grow. A line counts once it is whole, which its checksum
    tells. Now and then a new file is begun, since a checkpoint is taken of what is no longer
    written to."""

    def __init__(self, folder, key):
        self.folder, self.key = folder, key
        self.where = {}  # of mini-batches: (file, offset, bytes)
        self.failures = {}  # of mini-batches: items and why
        self.numbers = {}  # of mini-batches: (items scored, items failed)
        self.retried = 0
        self.shapes = set()  # the columns that results have
        self.began = time.monotonic()
        self.file = None
        os.makedirs(folder, exist_ok=True)
        self.files = sorted(name for name in os.listdir(folder) if name.startswith("results-"))
        for n in range(len(self.files)):
            self.read(n)
        if self.stale:
            for name in self.files:
                os.remove(os.path.join(folder, name))
            self.where, self.failures, self.numbers, self.files, self.retried, self.shapes = {}, {}, {}, [], 0, set()
            say("what was scored before is of other data, or by another model, so it begins anew")

    stale = False

    def read(self, n):
        with open(os.path.join(self.folder, self.files[n]), "rb") as f:
            at = 0
            for line in f:
                entry = unsealed(line)
                if entry is not None:
                    self.take(entry, (n, at, len(line)))
                at += len(line)

    def take(self, entry, where):
        if "key" in entry:
            self.stale = self.stale or entry["key"] != self.key
        elif "gave_up" in entry:  # whoever begins again wants another try at what gave nothing
            for i in [i for i, (scored, failed) in self.numbers.items() if not scored]:
                del self.where[i], self.numbers[i]
                self.failures.pop(i, None)
        elif entry["batch"] not in self.where:
            i = entry["batch"]
            self.where[i] = where
            self.numbers[i] = (entry["of"] - entry["lost"], entry["lost"])
            if entry["failed"]:
                self.failures[i] = entry["failed"]
            self.retried += entry["tries"] - 1
            for row in entry["rows"]:
                self.shapes.add(tuple(row) if isinstance(row, dict) else None)

    def add(self, entry):
        """Returns once the entry is in the file."""
        if self.file is None or time.monotonic() - self.opened > min(max((time.monotonic() - self.began) / 100, 2), 30):
            self.rotate()
        line, at = sealed(entry), self.size
        try:
            written = 0
            while written < len(line):
                written += os.write(self.file, line[written:])
        except OSError:
            os.close(self.file)  # nothing may follow half a line
            self.file = None
            raise
        self.size += len(line)
        self.take(entry, (len(self.files) - 1, at, len(line)))

    def rotate(self):
        if self.file is not None:
            os.fsync(self.file)
            os.close(self.file)
        name = "results-%08d" % (int(self.files[-1][8:]) + 1 if self.files else 1)
        self.file = os.open(os.path.join(self.folder, name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        self.files.append(name)
        self.opened, self.size = time.monotonic(), 0
        line = sealed({"key": self.key})
        self.size = os.write(self.file, line)

    def entry(self, i):
        n, at, size = self.where[i]
        if getattr(self, "at", None) != n:
            if getattr(self, "reading", None):
                self.reading.close()
            self.reading, self.at = open(os.path.join(self.folder, self.files[n]), "rb"), n
        self.reading.seek(at)
        return unsealed(self.reading.read(size))

    @property
    def scored(self):
        return sum(scored for scored, _ in self.numbers.values())

    @property
    def failed(self):
        return sum(failed for _, failed in self.numbers.values())


def sealed(entry):
    text = json.dumps(entry, separators=(",", ":"), default=plain).encode("utf-8")
    return b"%08x %s\n" % (zlib.crc32(text), text)


def unsealed(line):
    """The entry of a line; None when it is not whole."""
    head, _, text = line.partition(b" ")
    text = text[:-1]
    try:
        if line.endswith(b"\n") and int(head, 16) == zlib.crc32(text):
            return json.loads(text)
    except ValueError:
        pass
    return None


# ---- dealing it out


class Dealer:
    """Deals out mini-batches, and takes back what came of them. Any number of threads ask it."""

    def __init__(self, spec, data, journal):
        self.spec, self.data, self.journal = spec, data, journal
        self.lock = threading.Condition()
        self.next = iter(i for i in range(len(data.ends)) if i not in journal.where)
        self.again = collections.deque()
        self.tries = collections.Counter()
        self.out = 0  # mini-batches that somebody has
        self.dry = False  # there is none that nobody has had
        self.scored, self.failed, self.retried = journal.scored, journal.failed, journal.retried
        self.fault = None  # (exit status, words) that end it all
        self.began, self.told, self.said = time.monotonic(), 0.0, None
        self.check()

    def take(self):
        """The next mini-batch, as its number and what it is; None when there will be none."""
        with self.lock:
            while True:
                if self.fault:
                    return None
                if not self.spec["parallel"] or self.out < self.spec["parallel"]:
                    i = self.again.popleft() if self.again else None
                    if i is None and not self.dry:
                        i = next(self.next, None)
                        self.dry = i is None
                    if i is not None:
                        self.out += 1
                        return i, self.data.task(i)
                if self.over():
                    return None
                self.lock.wait()

    def over(self):
        return self.fault or self.dry and not self.again and not self.out

    def back(self, i):
        """A mini-batch that nobody has tried."""
        with self.lock:
            self.out -= 1
            self.again.append(i)
            self.lock.notify_all()

    def done(self, i, answer):
        with self.lock:
            try:
                self.settle(i, answer)
            except OSError as error:
                self.fault = self.fault or (74, "what was scored cannot be kept: %s" % error)
            self.out -= 1
            self.lock.notify_all()

    def settle(self, i, answer):
        self.tries[i] += 1
        entry = {"batch": i, "of": self.data.size(i), "rows": [], "failed": [], "lost": 0, "tries": self.tries[i]}
        if "rows" in answer:
            names = self.data.names(i)
            entry["rows"] = [row for row in answer["rows"] if row is not None]
            if len(answer["rows"]) == len(names):
                entry["failed"] = [[name, "run returned None for it"] for name, row in zip(names, answer["rows"]) if row is None]
            entry["lost"] = max(entry["of"] - len(entry["rows"]), 0)
            if entry["lost"] > len(entry["failed"]):
                entry["failed"] = [["%d of %d from %s on" % (entry["lost"], entry["of"], names[0]), "run returned no result for them"]]
        else:
            say("mini-batch %d, try %d of %d: %s" % (i + 1, self.tries[i], self.spec["retries"] + 1, answer["error"]))
            if self.tries[i] <= self.spec["retries"]:
                self.again.append(i)
                self.retried += 1
                return
            entry["failed"] = [[name, answer["error"]] for name in self.data.names(i)]
            entry["lost"] = entry["of"]
        self.journal.add(entry)
        self.scored += entry["of"] - entry["lost"]
        self.failed += entry["lost"]
        self.check()
        self.tell()

    def check(self):
        limit = self.spec["threshold"]
        if limit >= 0 and self.failed > limit and not self.fault:
            self.fault = (TOO_MANY_FAILED, "%s failed, and error_threshold allows %d" % (count(self.failed, self.unit), limit))

    @property
    def unit(self):
        return "files" if self.spec["items"] == "files" else "items"

    def tell(self, last=False):
        """Says how far it has come, in the log and as metrics."""
        now = time.monotonic()
        so_far = (self.scored, self.failed, self.retried)
        if so_far == self.said or not last and now - self.told < min(max((now - self.began) / 50, 1), 10):
            return
        self.told, self.said = now, so_far
        metrics = {"items": self.data.total, "scored": self.scored, "failed": self.failed, "batches": len(self.data.ends), "retried": self.retried}
        with open(os.environ["AMLFLOW_METRICS"], "a", encoding="utf-8") as f:
            f.write(json.dumps(metrics) + "\n")
        done = self.scored + self.failed
        say("{:,} of {}{}".format(done, count(self.data.total, self.unit), ", {:,} failed".format(self.failed) if self.failed else ""))

    def stop(self, status, words):
        with self.lock:
            self.fault = self.fault or (status, words)
            self.lock.notify_all()

    def wait(self):
        with self.lock:
            while not self.over():
                self.lock.wait(1)


class Slot(threading.Thread):
    """Has mini-batches scored by a process of this node, which it starts and, when it has died
    or takes too long, starts anew."""

    def __init__(self, spec, dealer):
        super().__init__(daemon=True)
        self.spec, self.dealer, self.child, self.dead = spec, dealer, None, 0

    def run(self):
        try:
            while True:
                task = self.dealer.take()
                if task is None:
                    return
                self.one(*task)
        except Exception as error:  # ours, or the other node has gone
            self.dealer.stop(70, unfit(error))
        finally:
            self.end()

    def one(self, i, task):
        if self.child is None and not self.spawn():
            self.dealer.back(i)
            return
        answer = self.ask(task)
        if answer is None or "late" in answer:
            how = self.end()
            answer = answer or {"error": "the process that scored it died (%s)" % how}
        self.dealer.done(i, {"error": answer["late"]} if "late" in answer else answer)

    def spawn(self):
        """Starts a process and waits until it is ready. An error in init() ends it all; that the
        process dies there may be the machine's fault, a few times."""
        down, up = os.pipe(), os.pipe()
        self.child = subprocess.Popen([sys.executable, "-u", os.path.abspath(__file__), "--score", str(down[0]), str(up[1])], pass_fds=(down[0], up[1]), stdin=subprocess.DEVNULL, start_new_session=True)
        os.close(down[0])
        os.close(up[1])
        self.down, self.up, self.rest = down[1], up[0], b""
        answer = self.read(None)
        if answer and "ready" in answer:
            self.dead = 0
            return True
        how = self.end()
        if answer:
            self.dealer.stop(BAD_SCORE_FILE, "the score file cannot be used: " + answer["fatal"])
            return False
        self.dead += 1
        if self.dead == 3:
            self.dealer.stop(BAD_SCORE_FILE, "the process that scores died three times before it was ready (%s)" % how)
        return False

    def ask(self, task):
        """What the process answers: None when it has died."""
        line = (json.dumps(task) + "\n").encode("utf-8")
        try:
            while line:
                line = line[os.write(self.down, line) :]
        except OSError:
            return None
        return self.read(self.spec["timeout"] or None)

    def read(self, limit):
        end = None if limit is None else time.monotonic() + limit
        parts = [self.rest]
        poll = select.poll()
        poll.register(self.up, select.POLLIN)
        while b"\n" not in parts[-1]:
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                return {"late": "it took longer than its timeout of %gs" % limit}
            if not poll.poll(None if left is None else left * 1000 + 1):
                continue
            got = os.read(self.up, 1 << 20)
            if not got:
                return None
            parts.append(got)
        line, _, self.rest = b"".join(parts).partition(b"\n")
        return json.loads(line)

    def end(self):
        """Ends the process and all that it has started, and says how it ended."""
        child, self.child = self.child, None
        if child is None:
            return ""
        os.close(self.down)
        os.close(self.up)
        try:
            status = child.wait(0.2)  # it may have died by itself
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except OSError:
            pass
        child.wait()
        if status is None:
            return "killed"
        return "signal %d" % -status if status < 0 else "exit code %d" % status


# ---- several nodes


def greeting():
    return hashlib.sha256((os.environ["AMLFLOW_JOB"] + os.environ["AMLFLOW_BATCH"]).encode()).hexdigest()


class Wire:
    """Lines of JSON over a connection."""

    def __init__(self, conn):
        self.conn, self.file = conn, conn.makefile("rwb")
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, what):
        self.file.write(json.dumps(what, default=plain).encode("utf-8") + b"\n")
        self.file.flush()

    def receive(self):
        line = self.file.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the connection to the other node was cut")
        return json.loads(line)


class Host(threading.Thread):
    """Serves the slots of the other ranks."""

    def __init__(self, dealer):
        super().__init__(daemon=True)
        self.dealer, self.greeted, self.open = dealer, 0, 0
        self.lock = threading.Condition()
        self.server = socket.create_server(("", int(os.environ["MASTER_PORT"])), backlog=1024)

    def run(self):
        while True:
            conn, _ = self.server.accept()
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        task, known = None, False
        try:
            wire = Wire(conn)
            conn.settimeout(60)
            hello = wire.receive()
            if hello.get("hello") != greeting():
                return
            conn.settimeout(None)
            known = True
            with self.lock:
                self.greeted += 1
                self.open += 1
            while True:
                task = self.dealer.take()
                if task is None:
                    wire.send({"end": True})
                    return
                wire.send({"batch": task[0], "task": task[1]})
                answer = wire.receive()
                i, task = task[0], None
                if "stop" in answer:
                    self.dealer.back(i)
                    self.dealer.stop(*answer["stop"])
                elif "back" in answer:
                    self.dealer.back(i)
                else:
                    self.dealer.done(i, answer)
        except (OSError, ValueError):
            pass
        finally:
            if task is not None:
                self.dealer.back(task[0])
            conn.close()
            if known:
                with self.lock:
                    self.open -= 1
                    self.lock.notify_all()

    def dismiss(self, slots, limit=300):
        """Waits until every slot of the other ranks has heard that it is over, and tells whether
        it has: one that finds nobody would take that for a failure. Each counts, as the slots of
        a rank connect one after the other, and little work may be done by the first of them."""
        end = time.monotonic() + limit
        with self.lock:
            while self.greeted < slots or self.open:
                if time.monotonic() >= end:
                    return False
                self.lock.wait(1)
            return True


class Peer:
    """The dealer, as a slot of another rank sees it."""

    def __init__(self):
        end = time.monotonic() + 600
        while True:
            try:
                conn = socket.create_connection((os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])), timeout=10)
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise ConnectionError("rank 0 cannot be reached: %s" % error)
                time.sleep(0.2)
        conn.settimeout(None)
        self.wire, self.fault = Wire(conn), None
        self.wire.send({"hello": greeting(), "rank": int(os.environ["RANK"])})

    def take(self):
        got = self.wire.receive()
        return None if "end" in got else (got["batch"], got["task"])

    def back(self, i):
        self.wire.send({"stop": self.fault} if self.fault else {"back": True})
        self.fault = None

    def done(self, i, answer):
        self.wire.send(answer)

    def stop(self, status, words):
        self.fault = [status, words]  # sent with what comes back
        if status == 70:
            say("rank %s: %s" % (os.environ["RANK"], words))
            os._exit(NO_PEER)


# ---- the end


def write(spec, data, journal):
    """Writes the results in the order of the input, and beside them what failed."""
    to = os.environ[spec["output"]]
    if spec["folder"]:
        folder, to = to, os.path.join(to, spec["append"])
        os.makedirs(os.path.dirname(to), exist_ok=True)
        if journal.failures:
            with open(os.path.join(folder, "failed.jsonl"), "w", encoding="utf-8", errors="surrogateescape") as f:
                for i in sorted(journal.failures):
                    for item, why in journal.failures[i]:
                        f.write(json.dumps({"item": item, "error": why}) + "\n")
    with open(to, "w", encoding="utf-8", errors="surrogateescape", newline="") as f:
        put = writer(spec, f, columns(data, journal))
        for i in range(len(data.ends)):
            for row in journal.entry(i)["rows"]:
                put(row)
        f.flush()
        os.fsync(f.fileno())


def columns(data, journal):
    """The columns of results that are objects, in the order in which the results have them."""
    shapes = [s for s in journal.shapes if s]
    if len(shapes) < 2:
        return list(shapes[0]) if shapes else []
    names = {}
    for i in range(len(data.ends)):
        for row in journal.entry(i)["rows"]:
            if isinstance(row, dict):
                names.update(dict.fromkeys(row))
    return list(names)


def writer(spec, f, names):
    if spec["append"].endswith((".jsonl", ".ndjson")):
        return lambda row: f.write(json.dumps(row, ensure_ascii=False) + "\n")
    if not spec["append"].endswith((".csv", ".tsv")):
        return lambda row: f.write((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n")
    table = csv.writer(f, lineterminator="\n", delimiter="\t" if spec["append"].endswith(".tsv") else ",")
    if names:
        table.writerow(names)

    def put(row):
        if isinstance(row, str):
            f.write(row + "\n")
        elif isinstance(row, dict):
            table.writerow([row.get(name, "") for name in names])
        else:
            table.writerow(row if isinstance(row, list) else [row])

    return put


def lead(spec):
    """What rank 0 does: all but scoring on other nodes. It returns the exit status."""
    data = Files(spec) if spec["items"] == "files" else Lines(spec)
    key = "%(over)s by %(model)s: %(items)s %(size)s %(bytes)s" % spec
    journal = Journal(os.environ.get("AMLFLOW_CHECKPOINT") or os.path.join(os.environ["TMPDIR"], "batch"), key)
    dealer = Dealer(spec, data, journal)
    if journal.where:
        say("it goes on: {:,} of {:,} mini-batches were scored before".format(len(journal.where), len(data.ends)))
    others = int(os.environ.get("WORLD_SIZE", "1")) - 1
    host = Host(dealer) if others else None
    if host:
        host.start()
    slots = [Slot(spec, dealer) for _ in range(spec["processes"])]
    for slot in slots:
        slot.start()
    dealer.wait()
    if host:
        host.dismiss(others * spec["processes"], 300 if not dealer.fault else 10)
    with dealer.lock:
        dealer.tell(last=True)
        if dealer.fault:
            status, words = dealer.fault
            complain(journal, words)
            journal.add({"gave_up": words})
            sys.stdout.flush()
            os._exit(status)  # what is being scored ends with this process
    for slot in slots:
        slot.join()
    write(spec, data, journal)
    if not data.total:
        say("there was nothing to score")
    elif dealer.failed:
        complain(journal, "%s failed" % count(dealer.failed, dealer.unit))
    return 0


def complain(journal, words):
    say(words)
    shown = 0
    for i in sorted(journal.failures):
        for item, why in journal.failures[i]:
            shown += 1
            if shown > MAX_SHOWN:
                say("  and more")
                return
            say("  %s: %s" % (item, why))


def follow(spec):
    """What the other ranks do."""
    slots = [Slot(spec, Peer()) for _ in range(spec["processes"])]
    for slot in slots:
        slot.start()
    for slot in slots:
        slot.join()
    return 0


def main():
    spec = json.loads(os.environ["AMLFLOW_BATCH"])
    if "AMLFLOW_INPUT_MODEL" in os.environ:
        os.environ["AMLFLOW_MODEL"] = os.environ["AMLFLOW_INPUT_MODEL"]  # as in a deployment
    if len(sys.argv) > 1:
        return score(spec)

    def ended(number, _):
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, ended)
    return (follow if int(os.environ.get("RANK", "0")) else lead)(spec)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status or 0)  # threads that wait for nothing any more
