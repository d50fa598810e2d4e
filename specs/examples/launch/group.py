"""Sums numbers over all processes of a job: rank 0 listens at MASTER_ADDR:MASTER_PORT, the others call it.

Enough for a few processes and short lists; torch.distributed, Horovod or MPI do this for models of any size.
"""

import json
import socket
import time

PATIENCE = 60.0  # seconds to wait for another process


def join(environ):
    """Returns the group that the launcher has described in the environment."""
    rank, size = int(environ["RANK"]), int(environ["WORLD_SIZE"])
    address = (environ["MASTER_ADDR"], int(environ["MASTER_PORT"]))
    if rank == 0:
        with socket.create_server(address) as server:
            server.settimeout(PATIENCE)
            return Group(rank, size, [server.accept()[0] for _ in range(size - 1)])
    return Group(rank, size, [call(address)])


def call(address):
    """Returns a connection to rank 0, which may begin to listen later than we begin to call."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(address, timeout=PATIENCE)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


class Group:
    """All processes of a job, seen from one of them."""

    def __init__(self, rank, size, peers):
        self.rank, self.size, self.peers = rank, size, peers
        self.files = []
        for peer in peers:
            peer.settimeout(PATIENCE)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.files.append(peer.makefile("rw", encoding="ascii"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for one in self.files + self.peers:
            one.close()

    def sum(self, values):
        """Returns the element-wise sum of every process's values. All must call it, with lists of one length."""
        if self.rank != 0:
            self.send(self.files[0], values)
            return json.loads(self.files[0].readline())
        lists = [values] + [json.loads(f.readline()) for f in self.files]
        total = [sum(column) for column in zip(*lists)]
        for f in self.files:
            self.send(f, total)
        return total

    @staticmethod
    def send(file, values):
        file.write(json.dumps(values) + "\n")
        file.flush()
