"""Clients that write without pause and say what they did: to a history (past.py), or as restic does."""

import hashlib
import random
import threading
import time

import botocore.exceptions

import harness
from holdfasts import client, keys
from past import ABSENT, History

BUCKET = "bucket"
BIG_BYTES = 9 << 20  # goes in parts at every destination
LOST = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)


def value_of(body):
    return hashlib.md5(body).hexdigest()


class Writer(threading.Thread):
    """Changes keys of its own, one request after another, until told to stop. A server that is killed is waited for."""

    def __init__(self, server, history, number, seed, n_keys=8, big=0.01, pause=0.0, kills_allowed=False):
        super().__init__(daemon=True)
        self.server, self.history, self.number = server, history, number
        self.chance = random.Random(f"{seed}/{number}")
        self.keys = [f"w{number}/k{i}" for i in range(n_keys)]
        self.holds = {}  # key: value, as far as it is sure
        self.big, self.pause = big, pause
        self.serial = 0
        self.stopping = False
        self.failure = None
        self.kills_allowed = kills_allowed

    def run(self):
        s3 = client(self.server)
        try:
            while not self.stopping:
                try:
                    self.change(s3)
                except LOST as lost:
                    status = (getattr(lost, "response", None) or {}).get("ResponseMetadata", {}).get("HTTPStatusCode")
                    if not self.kills_allowed or (status is not None and status != 503):
                        raise
                    time.sleep(0.05)
                if self.pause:
                    time.sleep(self.pause * 2 * self.chance.random())
        except BaseException as failure:  # noqa: BLE001
            self.failure = failure

    def body(self):
        self.serial += 1
        size = BIG_BYTES + self.serial if self.chance.random() < self.big else self.chance.choice((0, 100, 3000, 70000))
        return f"change {self.serial} of {self.number}\n".encode() + bytes(size)

    def change(self, s3):
        key = self.chance.choice(self.keys)
        kind = self.chance.random()
        if kind < 0.2:
            doomed = self.chance.sample(self.keys, 2) if kind < 0.05 else [key]
            self.ask([(k, ABSENT) for k in doomed],
                     lambda: s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": k} for k in doomed]})
                     if len(doomed) > 1 else s3.delete_object(Bucket=BUCKET, Key=key))
        elif kind < 0.3 and self.holds:
            source = self.chance.choice(sorted(self.holds))
            self.ask([(key, self.holds[source])], lambda: s3.copy_object(
                Bucket=BUCKET, Key=key, CopySource={"Bucket": BUCKET, "Key": source}, MetadataDirective="REPLACE"))
        else:
            body = self.body()
            self.ask([(key, value_of(body))], lambda: s3.put_object(Bucket=BUCKET, Key=key, Body=body))

    def ask(self, sets, request):
        made = self.history.begin(*sets)
        for key, _ in sets:
            self.holds.pop(key, None)
        request()
        self.history.end(made)
        self.holds.update((key, value) for key, value in sets if value is not ABSENT)


class Writers:
    """Some of them at once, with one history."""

    def __init__(self, server, seed, n=4, **how):
        self.server, self.history = server, History()
        self.all = [Writer(server, self.history, i, seed, **how) for i in range(n)]

    def __enter__(self):
        for w in self.all:
            w.start()
        return self

    def __exit__(self, *_):
        for w in self.all:
            w.stopping = True
        for w in self.all:
            w.join(60)

    def stop(self):
        self.__exit__()
        assert not any(w.is_alive() for w in self.all), "a client hangs"
        self.check()

    def check(self):
        for w in self.all:
            if w.failure is not None:
                raise w.failure


def holdings(server, bucket=BUCKET):
    """{key: value} of what a store holds, read."""
    s3 = client(server)
    return {key: value_of(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys(s3, bucket)}


def put_many(near, names, n_threads=8):
    """{name: value}; each body says whose it is."""
    names, made, todo = list(names), {}, threading.Lock()

    def work():
        s3 = client(near)
        while True:
            with todo:
                if not names:
                    return
                name = names.pop(0)
            body = f"body of {name} {len(made)}".encode()
            s3.put_object(Bucket=BUCKET, Key=name, Body=body)
            made[name] = value_of(body)

    threads = [threading.Thread(target=work) for _ in range(n_threads)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return made


class Seen:
    """{key: value} of a place, read again only where it has changed."""

    def __init__(self, place, prefix=BUCKET + "/"):
        self.place, self.prefix = place, prefix
        self.known = {}

    def values(self, listed=None):
        listed = self.place.frozen() if listed is None else listed
        self.known = {k: v for k, v in self.known.items() if listed.get(k) == v[0]}
        for key, identity in listed.items():
            assert key.startswith(self.prefix), f"{key} at the place is none of ours"
            if key not in self.known:
                self.known[key] = (identity, value_of(self.place.read(key)))
        return {k[len(self.prefix):]: value for k, (_, value) in self.known.items()}


class Restic:
    def __init__(self, repository, cache, server=None):
        """In a bucket of a server (BUCKET/NAME), or in a folder."""
        self.env = {"RESTIC_PASSWORD": "static-passw0rd", "RESTIC_CACHE_DIR": str(cache), "RESTIC_REPOSITORY": str(repository)}
        if server is not None:
            self.env |= {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
                         "RESTIC_REPOSITORY": f"s3:{server.endpoint}/{repository}"}

    def __call__(self, *args, **how):
        return harness.run(["restic", *args], env=self.env, timeout=120, **how)

    def check(self):
        return self("check", "--read-data", "--no-lock", "--no-cache", check=False)


class ResticLoad(threading.Thread):
    """restic without pause: backup, forget, prune, over and over."""

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.join(120)

    def __init__(self, restic, folder):
        super().__init__(daemon=True)
        self.restic, self.folder = restic, folder
        self.stopping = False
        self.rounds = 0
        self.failure = None

    def run(self):
        try:
            while not self.stopping:
                self.rounds += 1
                for i in range(12):
                    harness.write_random(self.folder / f"f{(self.rounds * 5 + i) % 30}", 20000 * i + 1000, self.rounds)
                self.restic("backup", str(self.folder))
                if self.rounds % 3 == 0:
                    self.restic("forget", "--keep-last", "2", "--prune", "--max-unused", "0")
        except BaseException as failure:  # noqa: BLE001
            self.failure = failure

    def stop(self):
        self.stopping = True
        self.join(120)
        if self.failure is not None:
            raise self.failure
