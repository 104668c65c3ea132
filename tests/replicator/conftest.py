"""Fixtures for the replicator's tests: the tool that drives protocols, and real peers on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "fakes", HERE.parent / "e2e"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import desttool  # noqa: E402
import harness  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def dest_tool():
    """Built once, unless the environment names one."""
    if "HOLDFAST_DEST_TOOL" not in os.environ and not desttool.PROGRAM.exists():
        subprocess.run(["make", "-s", "build/tests/dest_tool"], cwd=desttool.TOP, check=True)
    return desttool.PROGRAM


@pytest.fixture
def tool():
    """Opens tools that are closed at the end: tool(**fields)."""
    opened = []

    def make(*options, **how):
        opened.append(desttool.Tool(*options, **how))
        return opened[-1]

    yield make
    for t in opened:
        if t.process.poll() is None:
            t.close()


@pytest.fixture
def holdfasts():
    """Makes servers that are closed, and judged, at the end: holdfasts(args=[...]), not yet started."""
    made = []

    def make(**how):
        made.append(harness.Server(**how))
        return made[-1]

    yield make
    failure = None
    for server in made:
        try:
            server.close()
        except AssertionError as e:
            failure = failure or e
    if failure:
        raise failure


class Peer:
    """A server program on a loopback port of its own."""

    def __init__(self, command, seconds=30):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-peer."))
        line = [part.format(port=self.port, folder=self.folder) for part in command]
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.url = f"http://127.0.0.1:{self.port}"
        deadline = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.close()
                    raise RuntimeError(f"{line[0]} does not serve") from None
                time.sleep(0.05)

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def program_beside_python(name):
    """A program of the tests' own Python environment, or of the PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)
