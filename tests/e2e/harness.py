"""Starting, stopping, killing and judging a holdfast server under test.

A Server owns one data directory. Its life ends with close(), which fails the test when the server does not exit 0 on
SIGTERM, when a sanitizer wrote to its log, or when `holdfast check --read-data` finds the data directory unsound.
"""

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("HOLDFAST_BIN", TOP / "holdfast")).resolve()
BUILD = TOP / "build"
BIG = os.environ.get("HOLDFAST_BIG") == "1"

# An endpoint that is already there is tested instead of a holdfast of our own, to compare with another server.
FOREIGN_ENDPOINT = os.environ.get("HOLDFAST_E2E_ENDPOINT")

ACCESS_KEY = "kurl"
SECRET_KEY = "mZ8vE2e-only+secret/0123456789=="

START_SECONDS = 30
STOP_SECONDS = 30
SANITIZER = re.compile(r"AddressSanitizer|runtime error|LeakSanitizer|ThreadSanitizer")
LIVE = []  # servers that a failing test should show the log of


class ServerFailed(AssertionError):
    pass


class Port:
    """A loopback port below the ephemeral range that no other harness on this machine holds.

    A lock file makes the claim, since the server's SO_REUSEPORT would let two servers of one user share a port.
    """

    FIRST, COUNT = 20000, 8000

    def __init__(self):
        folder = Path(tempfile.gettempdir()) / f"holdfast-ports.{os.getuid()}"
        folder.mkdir(exist_ok=True)
        start = (os.getpid() * 37) % self.COUNT
        for i in range(self.COUNT):
            self.number = self.FIRST + (start + i) % self.COUNT
            self.lock = open(folder / str(self.number), "w")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", self.number))
                return
            except OSError:
                self.lock.close()
        raise ServerFailed("no free loopback port")

    def release(self):
        self.lock.close()


def wait_until(what, condition, seconds, alive=lambda: True):
    """Polls condition() until it is true; fails, naming what, after the deadline or when alive() is no more."""
    deadline = time.monotonic() + seconds
    while True:
        if condition():
            return
        if not alive():
            raise ServerFailed(f"{what}: the process ended first")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{what}: not within {seconds} s")
        time.sleep(0.01)


class Server:
    def __init__(self, args=(), tls=None, env=None, data=None, key_pair=(ACCESS_KEY, SECRET_KEY)):
        """args are added to `holdfast serve`; tls is None, "self-signed" or a (certificate, key) pair of files."""
        self.own_root = Path(tempfile.mkdtemp(prefix="holdfast-e2e."))
        self.data = Path(data) if data else self.own_root / "data"
        self.log_path = self.own_root / "log"
        self.args = list(args)
        self.tls = tls
        self.env = dict(env or {})
        self.access_key, self.secret_key = key_pair
        self.port = Port()
        self.admin_port = Port()
        self.process = None
        self.marked = 0
        self.sound = True  # a test that plants damage says False
        self.scanned = True
        LIVE.append(self)

    # Addresses

    @property
    def address(self):
        return ("127.0.0.1", self.port.number)

    @property
    def host(self):
        return f"127.0.0.1:{self.port.number}"

    @property
    def endpoint(self):
        return f"{'https' if self.tls else 'http'}://{self.host}"

    @property
    def admin(self):
        return f"http://127.0.0.1:{self.admin_port.number}"

    @property
    def ca(self):
        """The PEM file that a client must trust, or None."""
        if self.tls is None:
            return None
        return str(self.data / "tls" / "ca.pem" if self.tls == "self-signed" else self.tls[0])

    # Life

    def command(self):
        line = [str(BINARY), "serve", "--data", str(self.data), "--listen", self.host]
        line += ["--admin-listen", f"127.0.0.1:{self.admin_port.number}"]
        if self.tls == "self-signed":
            line += ["--tls-self-signed"]
        elif self.tls:
            line += ["--tls-cert", str(self.tls[0]), "--tls-key", str(self.tls[1])]
        return line + self.args

    def launch(self):
        """Starts the process and returns without waiting for it to serve."""
        assert self.process is None, "started twice"
        # Each of the server's options has a variable; those of this shell are not for it.
        env = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_") or k == "HOLDFAST_CORE_DUMPS"}
        env.update(self.env)
        env["HOLDFAST_ACCESS_KEY"] = self.access_key
        env["HOLDFAST_SECRET_KEY"] = self.secret_key
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=env, start_new_session=True)

    def start(self):
        self.launch()
        wait_until("ready", self.ready, START_SECONDS, alive=lambda: self.process.poll() is None)
        return self

    def ready(self):
        try:
            with urllib.request.urlopen(self.admin + "/readyz", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def metrics(self):
        with urllib.request.urlopen(self.admin + "/metrics", timeout=10) as answer:
            return answer.read().decode()

    def running(self):
        return self.process is not None and self.process.poll() is None

    def terminate(self):
        """SIGTERM; waits for the end and returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.reap()

    def reap(self):
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait()
            raise ServerFailed(f"still there {STOP_SECONDS} s after SIGTERM\n{self.tail()}")
        finally:
            self.process = None
        return status

    def stop(self):
        status = self.terminate()
        if status != 0:
            raise ServerFailed(f"exit status {status} after SIGTERM\n{self.tail()}")

    def kill(self):
        """What a power button does to a process: no drain, no goodbye."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def close(self):
        try:
            if self.process is not None:
                if self.process.poll() is not None:
                    raise ServerFailed(f"died with status {self.process.returncode}\n{self.tail()}")
                self.stop()
            if self.scanned:
                self.scan()
            if self.sound and self.data.exists():
                self.check()
        finally:
            if self.process is not None and self.process.poll() is None:
                self.kill()
            LIVE.remove(self)
            self.port.release()
            self.admin_port.release()
            shutil.rmtree(self.own_root, ignore_errors=True)

    # Judgement

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self, characters=6000):
        return f"--- end of the server's log ---\n{self.log()[-characters:]}"

    def mark(self):
        """Remembers where the log is now; log_since_mark() gives what came after."""
        self.marked = self.log_path.stat().st_size if self.log_path.exists() else 0

    def log_since_mark(self):
        if not self.log_path.exists():
            return ""
        with open(self.log_path, errors="replace") as f:
            f.seek(self.marked)
            return f.read()

    def scan(self):
        found = SANITIZER.search(self.log())
        if found:
            text = self.log()
            raise ServerFailed(f"a sanitizer spoke:\n{text[max(0, found.start() - 500):found.start() + 6000]}")

    def check(self):
        done = subprocess.run([str(BINARY), "check", str(self.data), "--read-data"], capture_output=True, text=True,
                              timeout=300)
        if done.returncode != 0:
            raise ServerFailed(f"holdfast check exits {done.returncode}:\n{done.stdout}{done.stderr}\n{self.tail()}")

    def add_key(self, name, *options):
        """`holdfast key add`: returns (access key, secret key)."""
        done = subprocess.run([str(BINARY), "key", "add", name, "--data", str(self.data), *options],
                              capture_output=True, text=True, timeout=30)
        if done.returncode != 0:
            raise ServerFailed(f"key add exits {done.returncode}: {done.stderr}")
        access = re.search(r"access[ _-]?key\S*[ \t:=]+(\S+)", done.stdout, re.I)
        secret = re.search(r"secret\S*(?:[ _-]?key)?[ \t:=]+(\S+)", done.stdout, re.I)
        assert access and secret, f"no key pair in: {done.stdout!r}"
        return access.group(1), secret.group(1)

    def remove_key(self, access_key):
        subprocess.run([str(BINARY), "key", "remove", access_key, "--data", str(self.data)], check=True,
                       capture_output=True, timeout=30)


class ForeignServer:
    """A server that somebody else started: only its address and the administrator's pair are known."""

    sound = scanned = False

    def __init__(self, endpoint):
        self.endpoint = endpoint.rstrip("/")
        self.tls = self.ca = None
        self.host = self.endpoint.split("//")[1]
        name, _, port = self.host.partition(":")
        self.address = (name, int(port or 80))
        self.access_key = os.environ.get("HOLDFAST_ACCESS_KEY", ACCESS_KEY)
        self.secret_key = os.environ.get("HOLDFAST_SECRET_KEY", SECRET_KEY)

    def start(self):
        return self

    def close(self):
        pass


def run(command, env=None, timeout=120, check=True, cwd=None, stdin=None):
    """Runs a client to its end; what it said is text in which encode(errors="surrogateescape") finds the exact bytes."""
    full = {"PATH": f"{BUILD}/venv/bin:" + os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"}
    full.update(env or {})
    done = subprocess.run([str(c) for c in command], env=full, timeout=timeout, cwd=cwd,
                          input=stdin.encode() if stdin is not None else b"", capture_output=True)
    done.stdout = done.stdout.decode("utf-8", "surrogateescape")
    done.stderr = done.stderr.decode("utf-8", "replace")
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}\nexits {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def write_random(path, size, seed=1):
    """A file of size bytes that no compressor shrinks, the same for the same seed."""
    import random
    source = random.Random(f"{seed}/{size}")
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as f:
        while size > 0:
            piece = source.randbytes(min(size, 1 << 20))
            f.write(piece)
            size -= len(piece)


def same_tree(one, other):
    """None when two folders hold the same files with the same bytes, else the first difference in words."""
    def files(root):
        return {str(p.relative_to(root)) for p in Path(root).rglob("*") if p.is_file()}
    left, right = files(one), files(other)
    if left != right:
        return f"only in one: {sorted(left ^ right)[:5]}"
    for name in sorted(left):
        a, b = Path(one, name), Path(other, name)
        if a.stat().st_size != b.stat().st_size or a.read_bytes() != b.read_bytes():
            return f"{name} differs"
    return None
