"""All-reduce over sockets: every rank gives a list of numbers, every rank gets back their sum.

Rank 0 listens on MASTER_ADDR:MASTER_PORT, adds the lists in the order of the ranks (so that the sum has the same bits each
time) and sends the sum to all. A message is its length in bytes (8 bytes, little-endian), then 64-bit floats, little-endian.
Good for a few machines and a small model; large ones want a ring, which is what NCCL and Gloo build.
"""

import array
import socket
import struct
import sys
import time

PATIENCE = 60.0  # seconds to wait for the others: to appear at first, then for each message
HELLO = struct.Struct("<4sII")  # these four letters, the rank that calls, how many ranks it expects
LENGTH = struct.Struct("<Q")
LETTERS = b"amlf"


class LostPeer(Exception):
    """Another rank never came, went away, or fell silent."""


class Group:
    """The ranks of one job, seen from one of them. Use it in a `with`, so that its sockets are closed."""

    def __init__(self, rank=0, size=1, peers=None):
        """peers: rank -> socket; rank 0 has all the others, each other has rank 0 only."""
        self.rank, self.size, self.peers = rank, size, peers or {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for peer in self.peers.values():
            peer.close()

    def sum(self, values):
        """Returns the element-wise sum of every rank's values. All ranks must call it, with lists of one length."""
        if self.size == 1:
            return values
        if self.rank != 0:
            self._send(0, values)
            return self._receive(0, len(values))
        total = list(values)
        for rank in range(1, self.size):
            total = [a + b for a, b in zip(total, self._receive(rank, len(values)))]
        for rank in range(1, self.size):
            self._send(rank, total)
        return total

    def _send(self, rank, values):
        body = _little_endian(array.array("d", values)).tobytes()
        try:
            self.peers[rank].sendall(LENGTH.pack(len(body)) + body)
        except OSError as problem:
            raise self._lost(rank, problem) from problem

    def _receive(self, rank, count):
        numbers = array.array("d")
        try:
            (length,) = LENGTH.unpack(_exactly(self.peers[rank], LENGTH.size))
            if length != count * numbers.itemsize:
                raise OSError("it sent %d bytes where %d were due" % (length, count * numbers.itemsize))
            numbers.frombytes(_exactly(self.peers[rank], length))
        except OSError as problem:
            raise self._lost(rank, problem) from problem
        return _little_endian(numbers).tolist()

    def _lost(self, rank, problem):
        return LostPeer("rank %d lost rank %d of %d: %s" % (self.rank, rank, self.size, problem))


def join(environ, patience=PATIENCE):
    """Returns the Group that RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT describe; without them, a group of one.

    Raises ValueError for values that make no sense, LostPeer when the others have not come after `patience` seconds.
    """
    size, rank = _number(environ, "WORLD_SIZE", 1), _number(environ, "RANK", 0)
    if not 0 <= rank < size:
        raise ValueError("RANK must be 0 to WORLD_SIZE-1: got RANK=%d, WORLD_SIZE=%d" % (rank, size))
    if size == 1:
        return Group()
    host, port = environ.get("MASTER_ADDR"), _number(environ, "MASTER_PORT", 0)
    if not host or not port:
        raise ValueError("%d ranks need MASTER_ADDR and MASTER_PORT to find each other" % size)

    deadline = time.monotonic() + patience
    peers = _listen(host, port, size, deadline) if rank == 0 else {0: _call(host, port, rank, size, deadline)}
    for peer in peers.values():
        peer.settimeout(patience)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small messages must not wait for company
    return Group(rank, size, peers)


def _listen(host, port, size, deadline):
    """Returns rank -> socket for every other rank, once all have called."""
    peers = {}
    with _server(host, port, size) as server:
        while len(peers) < size - 1:
            server.settimeout(_left(deadline))
            try:
                caller, _ = server.accept()
            except socket.timeout:
                missing = sorted(set(range(1, size)) - set(peers))
                raise LostPeer("rank 0 waited at %s:%d; of %d ranks these never came: %s" % (host, port, size, missing)) from None
            caller.settimeout(min(5.0, _left(deadline)))
            rank = _hello_from(caller, size)
            if rank is None or rank in peers:
                caller.close()  # a stranger, or a rank that is here already
            else:
                peers[rank] = caller
    return peers


def _server(host, port, size):
    """Returns a socket that listens at host:port, and nowhere else."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=size)
    except OSError as problem:
        raise LostPeer("rank 0 cannot listen at %s:%d: %s" % (host, port, problem)) from problem


def _hello_from(caller, size):
    """Returns the rank that a new caller names, None if it is no rank of this job."""
    try:
        letters, rank, expected = HELLO.unpack(_exactly(caller, HELLO.size))
    except OSError:
        return None
    return rank if letters == LETTERS and expected == size and 0 < rank < size else None


def _call(host, port, rank, size, deadline):
    """Returns a socket to rank 0, which may start later than we do."""
    while True:
        try:
            master = socket.create_connection((host, port), timeout=_left(deadline))
            if master.getsockname() != master.getpeername():
                master.sendall(HELLO.pack(LETTERS, rank, size))
                return master
            master.close()  # on one machine, TCP may connect a caller to itself while nobody listens
        except OSError as problem:
            if time.monotonic() >= deadline:
                raise LostPeer("rank %d found no rank 0 at %s:%d: %s" % (rank, host, port, problem)) from problem
            time.sleep(0.05)


def _exactly(peer, count):
    """Returns the next `count` bytes from a socket; raises OSError when they do not come."""
    received = bytearray()
    while len(received) < count:
        try:
            chunk = peer.recv(count - len(received))
        except socket.timeout:
            raise OSError("no word from it for %g seconds" % peer.gettimeout()) from None
        if not chunk:
            raise OSError("it closed the connection")
        received += chunk
    return bytes(received)


def _little_endian(numbers):
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _left(deadline):
    """Returns the seconds left, never quite none: a timeout of 0 would mean 'do not wait at all'."""
    return max(0.05, deadline - time.monotonic())


def _number(environ, name, default):
    text = environ.get(name, "")
    if not text:
        return default
    if not text.isdigit():
        raise ValueError("%s must be a whole number, got %r" % (name, text))
    return int(text)
