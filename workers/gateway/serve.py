"""Serves one score file over HTTP: the server of `score:` in a deployment.

python3 -u serve.py SCORE     with PORT in the environment, the code as working directory;
                              it listens at AMLFLOW_LISTEN, or 127.0.0.1

SCORE defines run(data), called with the decoded JSON of each request, one at a
time; what it returns is the JSON answer. init(), if there is one, is called
once before. Standard library only, Python 3.8 or newer.

  --bytes           run gets the body as bytes, and returns bytes or a string
  --batch MAX WAIT  run gets a list of up to MAX requests, and returns a list of as
                    many answers; the first waits up to WAIT seconds for others

`import amlflow; amlflow.report(name, number)` in the score file reports a number
of the request that is being answered.
"""
import sys

if sys.version_info < (3, 8):
    sys.exit("python3 is %d.%d here, and a score file needs 3.8 or newer" % sys.version_info[:2])

import errno
import http.server
import importlib.util
import json
import math
import os
import socketserver
import threading
import time
import traceback
import types

LIMIT = 32 << 20  # bytes of a request body; the gateway has the same bound
PORT_TAKEN = 98  # exit status: start again on another port


class Refused(Exception):
    """A request that cannot be read: its status and words for the client."""

    def __init__(self, status, words):
        super().__init__(words)
        self.status = status


def load(path):
    """Imports the score file as a module, so that its neighbours can be imported, too."""
    if not os.path.isfile(path):
        sys.exit("%r is not in the code folder" % path)
    folder = os.path.dirname(os.path.abspath(path))
    sys.path[0] = folder  # it was the folder of this file
    if os.getcwd() != folder:
        sys.path.insert(1, os.getcwd())
    offer_reports()
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        sys.exit("%r is not a Python file: its name must end in .py" % path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "run", None)):
        sys.exit("%r has no function run(data): define one (init() is optional)" % path)
    return module


class Reports:
    """The numbers that the call of run under way has reported."""

    def __init__(self):
        self.sums = {}
        self.warned = set()

    def report(self, name, value):
        """Reports a number of the request that is being answered."""
        try:
            name, number = str(name), float(value)
            good = math.isfinite(number) and 0 < len(name) <= 64 and (name in self.sums or len(self.sums) < 32)
        except (TypeError, ValueError, OverflowError):
            good = False
        if good:
            total, count = self.sums.get(name, (0.0, 0))
            self.sums[name] = (total + number, count + 1)
        elif name not in self.warned and len(self.warned) < 100:
            # An answer is worth more than a figure.
            self.warned.add(name)
            print("amlflow.report(%r, %r) is left out: a number is finite, and there are at most 32 names of 64 letters" % (name, value), file=sys.stderr)

    def take(self):
        sums, self.sums = self.sums, {}
        return json.dumps(sums) if sums else None


reports = Reports()


class Single:
    """Calls run for each request by itself, one at a time."""

    def __init__(self, run):
        self.run = run
        self.turn = threading.Lock()  # score files are seldom written for threads

    def ask(self, data):
        with self.turn:
            try:
                return self.run(data), reports.take()
            except BaseException:
                reports.take()  # what failed has measured nothing
                raise


class Item:
    def __init__(self, data):
        self.data, self.done = data, threading.Event()
        self.value = self.error = self.reported = None


class Batches:
    """Calls run with the requests that came together."""

    def __init__(self, run, most, wait):
        self.single, self.most, self.wait = Single(run), most, wait
        self.some = threading.Condition()
        self.items = []
        threading.Thread(target=self.work, daemon=True).start()

    def ask(self, data):
        item = Item(data)
        with self.some:
            self.items.append(item)
            self.some.notify()
        item.done.wait()
        if item.error is not None:
            raise item.error
        return item.value, item.reported

    def work(self):
        while True:
            self.answer(self.gather())

    def gather(self):
        with self.some:
            while not self.items:
                self.some.wait()
            end = time.monotonic() + self.wait
            while len(self.items) < self.most:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self.some.wait(left)
            batch, self.items = self.items[:self.most], self.items[self.most:]
            return batch

    def answer(self, batch):
        try:
            values, reported = self.single.ask([item.data for item in batch])
            if not hasattr(values, "__len__") or isinstance(values, (str, bytes, dict)) or len(values) != len(batch):
                raise TypeError("run(data) got %d requests in one list and returned %s: return a list of as many answers, in their order" % (len(batch), sizeof(values)))
            for item, value in zip(batch, values):
                item.value = value
            batch[0].reported = reported
        except BaseException as e:
            if len(batch) > 1:
                # One bad request is not to fail those that came with it.
                for item in batch:
                    self.answer([item])
                return
            batch[0].error = e if isinstance(e, Exception) else RuntimeError("%s: %s" % (type(e).__name__, e))
        for item in batch:
            item.done.set()


def sizeof(values):
    return "%d" % len(values) if isinstance(values, (list, tuple)) else type(values).__name__


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body leave in one piece
    scorer = None
    raw = False

    def do_GET(self):
        if self.path.partition("?")[0] == "/health":
            self.answer(200, b'{"status": "ready"}')
        else:
            self.refuse(404, "there is GET /health and POST /score")

    def do_POST(self):
        try:
            body = self.body()
            if self.path.partition("?")[0] != "/score":
                raise Refused(404, "there is GET /health and POST /score")
            data = body if self.raw else decoded(body)
        except Refused as e:
            return self.refuse(e.status, str(e))
        self.answer(*self.score(data))

    def score(self, data):
        try:
            value, reported = self.scorer.ask(data)
        except Exception as e:
            traceback.print_exception(type(e), e, e.__traceback__)
            return 500, error("%s: %s" % (type(e).__name__, e))
        if self.raw:
            return self.plain(value, reported)
        try:
            return 200, json.dumps(value, allow_nan=False).encode(), "application/json", reported
        except (TypeError, ValueError, RecursionError) as e:
            traceback.print_exc()
            return 500, error("what run(data) returned is not JSON (%s); return dicts, lists, strings, finite numbers, booleans or None" % e)

    def plain(self, value, reported):
        if isinstance(value, str):
            return 200, value.encode(), "text/plain; charset=utf-8", reported
        if isinstance(value, (bytes, bytearray, memoryview)):
            return 200, bytes(value), "application/octet-stream", reported
        print("run(data) returned %s" % type(value).__name__, file=sys.stderr)
        return 500, error("run(data) returned %s: in bytes mode return bytes or a string" % type(value).__name__)

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self.chunks()
        try:
            size = int(self.headers["Content-Length"])
        except (TypeError, ValueError):
            raise Refused(411, "the request needs a Content-Length")
        if not 0 <= size <= LIMIT:
            raise Refused(413, "the body may have at most %d bytes" % LIMIT)
        return self.rfile.read(size)

    def chunks(self):  # RFC 9112, section 7.1
        parts, total = [], 0
        while True:
            try:
                size = int(self.rfile.readline(64).partition(b";")[0], 16)
            except ValueError:
                raise Refused(400, "the chunks of the body cannot be read")
            total += size
            if size < 0 or total > LIMIT:
                raise Refused(413, "the body may have at most %d bytes" % LIMIT)
            if size == 0:
                while self.rfile.readline(8192).strip():
                    pass
                return b"".join(parts)
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)

    def refuse(self, status, words):
        self.close_connection = True  # what is left of the body is not a request
        self.answer(status, error(words))

    def answer(self, status, body, kind="application/json", reported=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if reported:
            self.send_header("Amlflow-Report", reported)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass  # the log belongs to the score file


def decoded(body):
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as e:
        raise Refused(400, "the body is not JSON: %s" % e)


def error(words):
    return json.dumps({"error": words}).encode()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        # HTTPServer's own asks the name service, which may take long.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            traceback.print_exc()


def offer_reports():
    """Lets the score file `import amlflow`, unless there is a package of this name."""
    if importlib.util.find_spec("amlflow") is None:
        module = types.ModuleType("amlflow", "What a score file can ask of amlflow.")
        module.report = reports.report
        sys.modules["amlflow"] = module


def main():
    port = int(os.environ["PORT"])
    options = sys.argv[2:]
    server = Server((os.environ.get("AMLFLOW_LISTEN") or "127.0.0.1", port), Handler, bind_and_activate=False)
    try:
        server.server_bind()  # the port is ours while init() works, and nobody can connect yet
        module = load(sys.argv[1])
        if callable(getattr(module, "init", None)):
            module.init()
        reports.take()
        Handler.raw = "--bytes" in options
        if "--batch" in options:
            at = options.index("--batch")
            Handler.scorer = Batches(module.run, int(options[at + 1]), float(options[at + 2]))
        else:
            Handler.scorer = Single(module.run)
        server.server_activate()
    except OSError as e:
        if e.errno != errno.EADDRINUSE:
            raise
        print("port %d is in use by another program" % port, file=sys.stderr)
        sys.exit(PORT_TAKEN)
    server.serve_forever()


if __name__ == "__main__":
    main()
