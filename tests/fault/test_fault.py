"""Faults at every call in turn: whatever fails, answers are right or honest,
nothing acknowledged is lost, nothing leaks, and the server goes on.

    HOLDFAST_FAULT_LIMIT    the first so many calls of one kind in one request
                            are made to fail (100); later ones are sampled
    HOLDFAST_FAULT_SECONDS  how long many clients meet faults at once (4)
"""

import errno
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

HERE = os.path.dirname(__file__)
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import faults
import harness
import s3raw
import crashtools

pytestmark = pytest.mark.timeout(0)  # as long as it was told to take

LIMIT = int(os.environ.get("HOLDFAST_FAULT_LIMIT", "100"))
BUCKET = "faults"
SMALL = random.Random(1).randbytes(1000)
LARGE = random.Random(2).randbytes(400 * 1024)
SEVERAL = 5  # complaints after which a test stops

STEPS = {
    "put small": lambda t: t.put("small", SMALL),
    "put large": lambda t: t.put("large", LARGE),
    "get small": lambda t: t.get("base/small", SMALL),
    "get large": lambda t: t.get("base/large", LARGE),
    "multipart": lambda t: t.multipart("multi", LARGE),
    "copy": lambda t: t.copy("copy", "base/large", LARGE),
    "delete": lambda t: (t.put("gone", LARGE), t.delete("gone")),
    "list": lambda t: t.list("base/large"),
}

DATA, SOCKETS = "data/", "socket:"
FAULTS = [
    ("open", DATA, errno.EMFILE), ("open", DATA, errno.ENOSPC),
    ("write", DATA, errno.ENOSPC), ("write", DATA, errno.EIO),
    ("write", DATA, errno.EDQUOT), ("write", DATA, faults.SHORT),
    ("read", DATA, errno.EIO), ("read", DATA, faults.SHORT),
    ("fdatasync", DATA, errno.EIO), ("fsync", DATA, errno.EIO),
    ("link", DATA, errno.ENOSPC), ("link", DATA, errno.EIO),
    ("unlink", DATA, errno.EIO), ("unlink", DATA, errno.EROFS),
    ("truncate", DATA, errno.EIO), ("fallocate", DATA, errno.ENOSPC),
    ("fallocate", DATA, errno.EOPNOTSUPP), ("mkdir", DATA, errno.ENOSPC),
    ("rename", DATA, errno.EIO), ("stat", DATA, errno.EIO),
    ("statvfs", DATA, errno.EIO), ("mmap", DATA, errno.ENOMEM),
    ("sendfile", DATA, errno.EIO), ("sendfile", DATA, faults.SHORT),
    ("dup", "", errno.EMFILE),
    ("accept", "", errno.EMFILE), ("accept", "", errno.ECONNABORTED),
    ("read", SOCKETS, errno.ECONNRESET), ("read", SOCKETS, faults.SHORT),
    ("write", SOCKETS, errno.EPIPE), ("write", SOCKETS, faults.SHORT),
    ("allocate", "", errno.ENOMEM),
]


class Victim:
    """A server with the injector in it, and what is known of its objects."""

    def __init__(self):
        self.scratch = crashtools.Scratch("fault")
        self.injector = faults.Injector(self.scratch / "page")
        self.data = self.scratch / "data"
        preload = crashtools.preload("tests/fault/inject.c", self.scratch.path)
        self.server = harness.Server(data=self.data, env={
            "LD_PRELOAD": preload, "HOLDFAST_INJECT": self.injector.path})
        self.server.sound = False  # judged here, with a better story
        self.server.start()
        # for servers that are made to fail while they start
        self.other = faults.Injector(self.scratch / "other")
        self.client = s3raw.Client(self.server.address, self.server.host,
                                   self.server.access_key,
                                   self.server.secret_key)
        self.serial = 0
        self.may = {}
        self.must("PUT", f"/{BUCKET}")
        for name, data in (("base/small", SMALL), ("base/large", LARGE)):
            self.must("PUT", f"/{BUCKET}/{name}", data)
            self.may[name] = {data}

    def must(self, method, path, body=b"", query=()):
        answer = self.client.request(method, path, query, body=body)
        assert answer.status in (200, 204), (method, path, answer)
        return answer

    def trial(self, error=0):
        self.serial += 1
        return faults.Trial(self.client, BUCKET, f"t{self.serial}/", error)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.server.process.pid}/fd"))

    def resident(self):
        with open(f"/proc/{self.server.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def settles(self, descriptors, seconds=5):
        """Waits until no more descriptors than that are open."""
        deadline = time.monotonic() + seconds
        while self.descriptors() > descriptors:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def revive(self):
        """Starts the server again if it has died; whether it had."""
        if self.server.running():
            return False
        if self.server.process is not None:
            self.server.process.wait()
            self.server.process = None
        self.server.start()
        return True

    def goes_on(self, trial):
        """After a fault: what may be there is there, and more can be."""
        trial.judge(self.client)
        self.must("PUT", f"/{BUCKET}/{trial.prefix}after", SMALL)
        trial.may[f"{trial.prefix}after"] = {SMALL}

    def clean(self, trials):
        """Stops, checks, starts; everything is as it was known."""
        self.server.stop()
        done = subprocess.run(
            [str(harness.BINARY), "check", self.data, "--read-data"],
            capture_output=True, text=True, timeout=300)
        self.server.start()
        wrong = []
        if done.returncode != 0:
            wrong.append(f"check exits {done.returncode}: {done.stdout}"
                         f"{done.stderr}")
        for trial in trials:
            try:
                trial.judge(self.client)
            except faults.Unfit as e:
                wrong.append(f"after a restart: {e}")
        base = faults.Trial(self.client, BUCKET, "")
        base.may = dict(self.may)
        base.judge(self.client)
        for trial in trials:
            for key in trial.may:
                self.must("DELETE", f"/{BUCKET}/{key}")
        return wrong

    def close(self):
        if self.server.running():
            self.server.kill()
        self.server.close()
        self.scratch.remove()


@pytest.fixture(scope="module")
def victim():
    victim = Victim()
    yield victim
    victim.close()


def strike(victim, step, kind, text, first, error):
    """One fault during one step: the trial, whether it struck, and what is
    wrong (None if nothing is)."""
    trial = victim.trial(error)
    victim.injector.arm(kind, text, first, error)
    wrong = None
    try:
        STEPS[step](trial)
    except faults.Unfit as e:
        wrong = str(e)
    finally:
        victim.injector.disarm()
    struck = victim.injector.struck > 0
    story = (f"{step}, {kind} {first} {faults.error_name(error)} at "
             f"{victim.injector.where()}: " if struck else "")
    try:
        if victim.revive():
            wrong = (f"the server died; {'; '.join(trial.outcomes)} "
                     f"{victim.server.tail(1500)}")
        if wrong is None:
            victim.goes_on(trial)
    except (faults.Unfit, s3raw.Closed, OSError, AssertionError) as e:
        wrong = f"{e} after {trial.outcomes}"
    if wrong is not None:
        wrong = story + wrong
        if victim.server.running():
            victim.server.kill()  # the next fault meets a healthy server
        victim.revive()
    return trial, struck, wrong


def places(limit):
    """1, 2, 3 ... and, after a while, ever more apart."""
    n = 1
    while n < 100000:
        yield n
        n += 1 if n < limit else n // limit + 1


@pytest.mark.parametrize(
    "kind,text,error", FAULTS,
    ids=[f"{k}-{t.strip(':/') or 'any'}-{faults.error_name(e)}"
         for k, t, e in FAULTS])
def test_fault(victim, kind, text, error):
    for step in STEPS.values():  # warm
        step(victim.trial())
    before = victim.descriptors()
    resident = victim.resident()
    pid = victim.server.process.pid
    trials, wrong = [], []
    for step in STEPS:
        for first in places(LIMIT):
            trial, struck, complaint = strike(victim, step, kind, text,
                                              first, error)
            trials.append(trial)
            if complaint:
                wrong.append(complaint)
            if not struck or len(wrong) >= SEVERAL:
                break
    if victim.server.process.pid == pid:
        if not victim.settles(before + 2):
            wrong.append(f"{before} descriptors were open, now "
                         f"{victim.descriptors()}")
        # a sanitizer keeps what was freed
        if (victim.resident() > resident + (16 << 20) and
                "san" not in harness.BINARY.name):
            wrong.append(f"{resident} bytes were resident, now "
                         f"{victim.resident()}")
    wrong += victim.clean(trials)
    if wrong:
        pytest.fail("\n".join(wrong))


SECONDS = float(os.environ.get("HOLDFAST_FAULT_SECONDS", "4"))


class Busy(threading.Thread):
    """A client that does one step after another, in no order."""

    def __init__(self, victim, number):
        super().__init__()
        self.victim, self.rng = victim, random.Random(number)
        self.number, self.trials, self.wrong = number, [], []
        self.stop = False

    def run(self):
        steps = list(STEPS.items())
        while not self.stop and not self.wrong:
            trial = faults.Trial(
                self.victim.client, BUCKET,
                f"busy{self.number}/{len(self.trials)}/",
                errno.ENOSPC, errno.ENOMEM)
            self.trials.append(trial)
            name, step = self.rng.choice(steps)
            try:
                step(trial)
            except (faults.Unfit, OSError) as e:
                self.wrong.append(f"{name}: {e}")


def test_faults_among_many_clients(victim):
    """Changes of several clients are settled together: a fault in one of them
    is nobody else's, and a fault of all is everybody's."""
    rng = random.Random(os.environ.get("HOLDFAST_CRASH_SEED", "1"))
    clients = [Busy(victim, n) for n in range(6)]
    pid = victim.server.process.pid
    for client in clients:
        client.start()
    end = time.monotonic() + SECONDS
    armed = []
    while time.monotonic() < end and not any(c.wrong for c in clients):
        fault = rng.choice(FAULTS)
        armed.append((*fault, rng.randint(1, 30), rng.randint(1, 3)))
        victim.injector.arm(*armed[-1][:2], armed[-1][3], fault[2],
                            armed[-1][4])
        time.sleep(0.02)
    victim.injector.disarm()
    for client in clients:
        client.stop = True
    for client in clients:
        client.join()
    wrong = [w for c in clients for w in c.wrong]
    if victim.revive() or victim.server.process.pid != pid:
        wrong.append(f"the server died: {victim.server.tail(3000)}")
    trials = [t for c in clients for t in c.trials]
    for trial in trials:
        try:
            trial.judge(victim.client)
        except faults.Unfit as e:
            wrong.append(str(e))
    wrong += victim.clean(trials)
    if wrong:
        pytest.fail("\n".join(wrong[:SEVERAL] + [f"armed: {armed[-5:]}"]))


STARTS = [
    ("open", errno.EMFILE), ("open", errno.EIO), ("write", errno.ENOSPC),
    ("write", errno.EIO), ("write", faults.SHORT), ("read", errno.EIO),
    ("fdatasync", errno.EIO), ("fsync", errno.EIO), ("link", errno.EPERM),
    ("unlink", errno.EIO), ("truncate", errno.EIO),
    ("fallocate", errno.ENOSPC), ("fallocate", errno.EOPNOTSUPP),
    ("mkdir", errno.ENOSPC), ("rename", errno.EIO), ("stat", errno.EIO),
    ("statvfs", errno.EIO), ("mmap", errno.ENOMEM),
    ("allocate", errno.ENOMEM),
]


def start_under_fault(victim, data, what):
    """Starts a server with the armed fault: it serves, or ends with a
    sentence. What is wrong, or None."""
    env = dict(victim.server.env, HOLDFAST_INJECT=victim.other.path)
    server = harness.Server(data=data, env=env)
    try:
        try:
            server.start()
            return None
        except harness.ServerFailed:
            if server.running():
                return f"{what}: neither serves nor ends"
        status = server.process.wait()
        server.process = None
        said = server.log().strip().splitlines()
        if status < 0 or status > 127:
            return f"{what}: ends by signal {status}: {server.tail(1500)}"
        if not said:
            return f"{what}: ends with {status} and says nothing"
        return None
    finally:
        victim.other.disarm()
        if server.running():
            server.kill()
        harness.LIVE.remove(server)
        server.port.release()
        server.admin_port.release()
        shutil.rmtree(server.own_root, ignore_errors=True)


@pytest.mark.parametrize("there", ["new", "old"])
@pytest.mark.parametrize("kind,error", STARTS, ids=[
    f"{k}-{faults.error_name(e)}" for k, e in STARTS])
def test_fault_at_start(victim, kind, error, there):
    """A start that meets a fault spoils nothing: the next one serves."""
    wrong = []
    data = victim.scratch / "start/data"
    text = "" if kind == "allocate" else "start/data"
    for first in places(LIMIT // 10 if kind == "allocate" else LIMIT):
        if there == "new" or first == 1:
            shutil.rmtree(os.path.dirname(data), ignore_errors=True)
            os.mkdir(os.path.dirname(data))
        if there == "old" and first == 1:
            one_object(victim, data, write=True)
        victim.other.arm(kind, text, first, error)
        what = f"{kind} {first} {faults.error_name(error)}"
        complaint = start_under_fault(victim, data, what)
        struck = victim.other.struck > 0
        where = victim.other.where() if struck else ""
        if not complaint:
            try:
                one_object(victim, data, write=there == "new")
            except (AssertionError, OSError) as e:
                complaint = f"{what}, then: {e}"
        if complaint:
            wrong.append(f"{where}: {complaint}")
        if not struck or len(wrong) >= SEVERAL:
            break
    shutil.rmtree(os.path.dirname(data), ignore_errors=True)
    if wrong:
        pytest.fail("\n".join(wrong))


def one_object(victim, data, write):
    """A healthy server on DATA has (or takes) an object."""
    server = harness.Server(data=data)
    try:
        server.start()
        client = s3raw.Client(server.address, server.host, server.access_key,
                              server.secret_key)
        if write:
            for path, body in ((f"/{BUCKET}", b""), (f"/{BUCKET}/o", LARGE)):
                answer = client.put(path, body)
                assert answer.status == 200, answer
        answer = client.get(f"/{BUCKET}/o")
        assert answer.body == LARGE, answer
    finally:
        server.sound = False
        if server.running():
            server.kill()
        server.close()


def test_a_disk_without_room_still_deletes(victim):
    trial = victim.trial(errno.ENOSPC)
    trial.put("there", LARGE)
    victim.injector.arm("write", "data/tmp/", 1, errno.ENOSPC, faults.FOREVER)
    try:
        trial.put("more", LARGE)
        assert "200" not in trial.outcomes[-1]
        trial.delete("there")
        assert "204" in trial.outcomes[-1]
        trial.get("base/large", LARGE)
    finally:
        victim.injector.disarm()
    victim.goes_on(trial)
    assert victim.clean([trial]) == []


def vanish(address, data, wait_for=0, reset=False):
    """Sends DATA, reads some bytes of the answer, and is gone."""
    s = socket.create_connection(address, timeout=20)
    try:
        s.sendall(data)
        got = 0
        while got < wait_for:
            piece = s.recv(wait_for - got)
            if not piece:
                break
            got += len(piece)
        if reset:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         struct.pack("ii", 1, 0))
    except ConnectionError:
        pass  # it was refused early
    finally:
        s.close()


def some(length, count=80):
    """The first and last places of a length, and some in between."""
    if length <= 1500:
        return range(length)
    rng = random.Random(length)
    middle = rng.sample(range(600, length - 40), count)
    return sorted({*range(0, 600, 7), *middle, *range(length - 40, length)})


@pytest.mark.parametrize("size", [300, 400 * 1024])
def test_a_client_that_is_gone_within_a_put_leaves_nothing(victim, size):
    before = victim.descriptors()
    key = f"/{BUCKET}/gone{size}"
    request = victim.client.build("PUT", key, body=LARGE[:size])
    for cut in some(len(request)):
        vanish(victim.server.address, request[:cut], reset=cut % 2 == 0)
    assert victim.server.running()
    assert victim.settles(before + 2)
    assert victim.client.get(key).status == 404
    assert victim.clean([]) == []


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_client_that_is_gone_within_a_get_costs_nothing(victim, name):
    before = victim.descriptors()
    request = victim.client.build("GET", f"/{BUCKET}/base/{name}")
    with victim.client.connect() as c:
        c.send(request)
        answer = c.read()
    length = len(answer.body) + sum(len(n) + len(v) + 4
                                    for n, v in answer.headers) + 19
    for cut in some(length):
        vanish(victim.server.address, request, wait_for=cut,
               reset=cut % 2 == 0)
    assert victim.server.running()
    assert victim.settles(before + 2)
    base = faults.Trial(victim.client, BUCKET, "")
    base.may = dict(victim.may)
    base.judge(victim.client)


def test_a_client_that_is_gone_within_a_complete_leaves_it_open(victim):
    key = f"/{BUCKET}/gone-complete"
    made = victim.must("POST", key, query=[("uploads", "")])
    upload = made.xml().findtext("UploadId")
    etag = victim.must("PUT", key, LARGE, [("partNumber", "1"),
                                           ("uploadId", upload)]).get("ETag")
    body = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"
            f"{etag}</ETag></Part></CompleteMultipartUpload>").encode()
    request = victim.client.build("POST", key, [("uploadId", upload)],
                                  body=body)
    for cut in some(len(request)):
        vanish(victim.server.address, request[:cut], reset=cut % 2 == 0)
    assert victim.client.get(key).status == 404
    answer = victim.must("POST", key, body, [("uploadId", upload)])
    assert answer.code is None
    assert victim.client.get(key).body == LARGE
    victim.must("DELETE", key)


def test_more_clients_than_descriptors(victim):
    """At the limit of open files those who are in are served, and the others
    are once there is room."""
    import resource
    pid = victim.server.process.pid
    before = victim.descriptors()
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (before + 40, old[1]))
    held = []
    try:
        for _ in range(120):
            held.append(socket.create_connection(victim.server.address, 5))
        time.sleep(0.2)
        cpu = victim_cpu(pid)
        time.sleep(0.5)
        assert victim_cpu(pid) - cpu < 0.25, "spins without descriptors"
    finally:
        for s in held:
            s.close()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
    assert victim.settles(before + 2, 20)
    base = faults.Trial(victim.client, BUCKET, "")
    base.may = dict(victim.may)
    base.judge(victim.client)


def victim_cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
