"""A TCP proxy on loopback whose link can be cut, slowed and made to lie, at any instant and by chance.

    with ChaosProxy(("127.0.0.1", 9000)) as proxy:
        proxy.url            # what the client is given
        proxy.cut()          # both directions end at once, new connections are refused
        proxy.mend()
        proxy.resets = 0.02  # the chance that a connection is reset when a piece of data comes
        proxy.tears = 0.02   # the same, in the middle of a piece: of a head, a body, an answer, a record of TLS
        proxy.flips = 0.02   # the chance that a bit of a piece of a request's body is turned over
"""

import random
import re
import selectors
import socket
import struct
import threading
import time

PIECE = 16384
# A client sends a request's first line when it has its answer to the one before, so it stands at a piece's beginning.
REQUEST = re.compile(rb"(?:GET|HEAD|PUT|POST|PATCH|DELETE) [^ \r\n]+ HTTP/1\.1\r\n")


class ChaosProxy:
    def __init__(self, target, seed=None):
        self.target = target
        self.random = random.Random(seed)
        self.resets = 0.0        # chance per piece
        self.tears = 0.0         # chance per piece
        self.flips = 0.0         # chance per piece
        self.flipped = self.torn = 0
        self.delay = 0.0         # at most, in seconds, per piece
        self.bytes_per_second = 0
        self.held = None         # a request whose first line has this in it goes no further
        self.black_hole = False  # connections that are used meanwhile stand still for ever: nothing passes, nothing closes
        self.is_cut = False
        self.passed = 0          # bytes towards the target
        self.cut_at = None       # of those
        self.asked = []          # when each request came, and its first line
        self.connections = 0
        self.lock = threading.Lock()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.ended = True
        self.cut()
        self.listener.close()

    def cut(self):
        """No byte passes behind this call's return."""
        with self.lock:
            self.is_cut = True
            for pair in list(self.open):
                self._reset(pair)
            self.open.clear()

    def cut_after(self, n_bytes):
        self.cut_at = self.passed + n_bytes

    def mend(self):
        self.cut_at = None
        self.is_cut = False

    @staticmethod
    def _reset(pair):
        for s in pair:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _accept(self):
        while not self.ended:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.is_cut:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            server = socket.create_connection(self.target, 5)
        except OSError:
            client.close()
            return
        pair = (client, server)
        with self.lock:
            if self.is_cut:
                self._reset(pair)
                return
            self.open.add(pair)
        try:
            self._pass_on(client, server)
        except (OSError, ValueError):
            pass
        with self.lock:
            self.open.discard(pair)
            self._reset(pair)

    def _pass_on(self, client, server):
        swallowed = False
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select(1):
                    data = key.fileobj.recv(min(PIECE, max(100, self.bytes_per_second // 10)) if self.bytes_per_second else PIECE)
                    swallowed = swallowed or self.black_hole
                    if swallowed:
                        if not data:
                            if key.fileobj is client:
                                return
                            selector.unregister(server)
                        continue
                    if not data or self.random.random() < self.resets:
                        return
                    if self.delay:
                        time.sleep(self.random.random() * self.delay)
                    if self.bytes_per_second:
                        time.sleep(len(data) / self.bytes_per_second)
                    upwards = key.fileobj is client
                    if upwards and REQUEST.match(data):
                        line = data[:data.index(b"\r")].decode()
                        self.asked.append((time.monotonic(), line))
                        while self.held is not None and self.held in line and not self.is_cut:
                            time.sleep(0.01)
                    if upwards and self.flips:
                        data = self._flip(data)
                    if self.tears and self.random.random() < self.tears:
                        self.torn += 1
                        key.data.sendall(data[:self.random.randrange(len(data))])
                        return
                    if upwards and self.cut_at is not None and self.passed + len(data) >= self.cut_at:
                        key.data.sendall(data[:max(0, self.cut_at - self.passed)])
                        self.cut()
                        return
                    with self.lock:
                        if self.is_cut:
                            return
                        key.data.sendall(data)
                        if upwards:
                            self.passed += len(data)

    def _flip(self, data):
        """Of a body only: what a head says no checksum guards but TLS's."""
        start = data.find(b"\r\n\r\n") + 4 if REQUEST.match(data) else 0
        if start >= len(data) or self.random.random() >= self.flips:
            return data
        self.flipped += 1
        at = self.random.randrange(start, len(data))
        return data[:at] + bytes([data[at] ^ 1 << self.random.randrange(8)]) + data[at + 1:]
