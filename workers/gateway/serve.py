"""Serves one score file over HTTP: the server of `score:` in a deployment.

python3 -u serve.py SCORE     with PORT in the environment, the code as working directory

SCORE defines run(data), called with the decoded JSON of each request, one at a
time; what it returns is the JSON answer. init(), if there is one, is called
once before. Standard library only, Python 3.8 or newer.
"""
import sys

if sys.version_info < (3, 8):
    sys.exit("python3 is %d.%d here, and a score file needs 3.8 or newer" % sys.version_info[:2])

import errno
import http.server
import importlib.util
import json
import os
import socketserver
import threading
import traceback

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


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # header and body leave in one piece
    run = None
    turn = threading.Lock()  # score files are seldom written for threads

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
            try:
                data = json.loads(body)
            except ValueError as e:
                raise Refused(400, "the body is not JSON: %s" % e)
        except Refused as e:
            return self.refuse(e.status, str(e))
        self.answer(*self.score(data))

    def score(self, data):
        try:
            with self.turn:
                value = type(self).run(data)
        except Exception as e:
            traceback.print_exc()
            return 500, error("%s: %s" % (type(e).__name__, e))
        try:
            return 200, json.dumps(value, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as e:
            traceback.print_exc()
            return 500, error("what run(data) returned is not JSON (%s); return dicts, lists, strings, finite numbers, booleans or None" % e)

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

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass  # the log belongs to the score file


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


def main():
    port = int(os.environ["PORT"])
    server = Server(("127.0.0.1", port), Handler, bind_and_activate=False)
    try:
        server.server_bind()  # the port is ours while init() works, and nobody can connect yet
        module = load(sys.argv[1])
        if callable(getattr(module, "init", None)):
            module.init()
        Handler.run = staticmethod(module.run)
        server.server_activate()
    except OSError as e:
        if e.errno != errno.EADDRINUSE:
            raise
        print("port %d is in use by another program" % port, file=sys.stderr)
        sys.exit(PORT_TAKEN)
    server.serve_forever()


if __name__ == "__main__":
    main()
