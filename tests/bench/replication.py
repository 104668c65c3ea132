#!/usr/bin/env python3
"""Measures the copy outside: from one holdfast to another on this machine, beside the clients that do the like.

    make bench-replication
    tests/bench/replication.py [--rounds 3] [--only small,large] [--objects 100000] [--mib 2048] [--listed 1000000]
                               [--concurrency N] [--dir build/bench]

    small        a backlog of 4 KiB objects that 64 connections wrote, against `rclone sync --transfers 64`
    serial       the same, written by one connection: each change waits for the one before, by the rule of the order
    seed         4 KiB objects that were there before the destination, against the same
    large        a backlog of 64 MiB objects, against the better of s5cmd and rclone
    lag          50 small writes a second: from each answer here to the object's being there
    laglarge     100 MiB objects, one in ten times as long as its copying takes
    foreground   what PUTs here lose while they are copied; the other holdfast is in memory and at the lowest priority, as if
                 it were another machine's
    read         a node with an empty disk: from its restore to the first object read, by number of objects
    import       a node with an empty disk takes in a long listing

Each round runs ours and theirs one after the other, in turn first, on stores of their own; ratios are of one round, and the table has
their medians. On a shared machine rates differ from run to run, CPU seconds hardly. Nothing here is a test.
"""

import argparse
import http.client
import itertools
import json
import os
import re
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
for folder in ("tests/e2e", "tests/replicator"):
    sys.path.insert(0, str(TOP / folder))
import harness
import holdfasts
import s3raw

KIB, MIB = 1 << 10, 1 << 20
TICK, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
BUCKET = "work"
HOUR = 3600


def say(text):
    print(text, file=sys.stderr, flush=True)


def program(name):
    """The client itself, not what starts it."""
    for beside in (*TOP.glob(f"build/venv/lib/python3*/site-packages/{name}/bin/{name}"), TOP / "build/venv/bin" / name):
        if beside.exists():
            return str(beside)
    return shutil.which(name)


# ---- processes ----

class Usage:
    """CPU seconds of a process and the most anonymous memory that it had (file pages of the index are cache, and not counted)."""

    def __init__(self, pid):
        self.pid, self.anonymous = pid, 0
        self.before = self.cpu()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def cpu(self):
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / TICK

    def watch(self):
        while not self.ended.wait(0.02):
            self.look()

    def look(self):
        try:
            found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{self.pid}/status").read_text())
        except OSError:
            return
        if found:
            self.anonymous = max(self.anonymous, int(found[1]) / 1024)

    def end(self):
        self.look()
        self.ended.set()
        self.thread.join()
        return self.cpu() - self.before


def run_client(command, env):
    """Runs a client to its end: seconds, CPU seconds, and the most anonymous memory in MiB."""
    began = time.monotonic()
    process = subprocess.Popen([str(c) for c in command], env=dict(os.environ, **env), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    usage, text = Usage(process.pid), process.stderr.read()
    _, status, spent = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    usage.end()
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]}: {text[-500:]!r}")
    return seconds, spent.ru_utime + spent.ru_stime, usage.anonymous


# ---- a load ----

def put_all(server, keys, body, connections, bucket=BUCKET):
    """PUTs body under each key, on so many connections at once; seconds that it took."""
    signer = s3raw.Signer(server.access_key, server.secret_key)
    tail = f" HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    when = signer.now()
    requests = iter([b"PUT " + signer.presign("PUT", server.host, f"/{bucket}/{key}", expires=6 * HOUR, when=when).encode() + tail
                     for key in keys])
    selector, left, began = selectors.DefaultSelector(), len(keys), time.monotonic()
    for _ in range(min(connections, len(keys))):
        s = socket.create_connection(server.address)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(s, selectors.EVENT_READ)
        s.sendall(next(requests))
    while left:
        for key, _ in selector.select():
            answer = key.fileobj.recv(4096)
            if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(b"\r\n\r\n"):
                raise RuntimeError(f"PUT: {answer[:300]!r}")
            left -= 1
            request = next(requests, None)
            if request is not None:
                key.fileobj.sendall(request)
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    selector.close()
    return time.monotonic() - began


def put_for(server, seconds, tag):
    """PUTs of 4 KiB on 64 connections, by wrk: how many a second."""
    signer = s3raw.Signer(server.access_key, server.secret_key)
    when, folder = signer.now(), server.own_root
    (folder / "paths").write_text("\n".join(signer.presign("PUT", server.host, f"/{BUCKET}/{key}", expires=6 * HOUR, when=when)
                                            for key in names(50_000, tag)))
    (folder / "lua").write_text(f"""
        local threads = 0
        function setup(thread) thread:set("at", threads); threads = threads + 1 end
        function init() paths = {{}}; for line in io.lines("{folder}/paths") do paths[#paths + 1] = line end
            body = string.rep("x", 4096) end
        function request() at = at + 2; return wrk.format("PUT", paths[at % #paths + 1], nil, body) end""")
    done = subprocess.run(["wrk", "-t2", "-c64", f"-d{seconds}s", "-s", folder / "lua", server.endpoint], capture_output=True, text=True)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def names(n, tag="o"):
    return [f"{tag}/{i % 100:02d}/{i:07d}" for i in range(n)]


# ---- a pair of stores ----

class Pair:
    """Two holdfasts, the second being the first one's destination once add() is called."""

    def __init__(self, options, name, elsewhere=False):
        """elsewhere: the second takes nothing of this machine that can be spared: neither its disk nor its first processor time."""
        self.folder, self.options, self.shm = options.folder / name, options, None
        folder = self.folder
        folder.mkdir(parents=True)
        quiet = ["--log-level", "warn", *holdfasts.SCRUB_OFF]
        self.near = harness.Server(quiet, data=folder / "near").start()
        if elsewhere:
            self.shm = tempfile.mkdtemp(prefix="holdfast-bench.", dir="/dev/shm")
        self.far = harness.Server(quiet, data=Path(self.shm or folder) / "far").start()
        if elsewhere:
            for task in os.listdir(f"/proc/{self.far.process.pid}/task"):
                os.setpriority(os.PRIO_PROCESS, int(task), 19)
        for server in (self.near, self.far):
            server.scanned = server.sound = False
        self.s3 = holdfasts.client(self.near)
        self.s3.create_bucket(Bucket=BUCKET)
        self.theirs = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in (self.near, self.far):
            server.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.shm:
            shutil.rmtree(self.shm)

    def add(self, *options):
        if self.options.concurrency:
            options = ("--concurrency", str(self.options.concurrency), *options)
        holdfasts.add(self.near, self.far, "far", "copies", "outside", *options)

    def copied(self):
        time.sleep(0.1)  # looking costs time as well
        return holdfasts.settled(self.near)

    def wait_copied(self, seconds=HOUR):
        harness.wait_until("the copy to be complete", self.copied, seconds)

    def pause(self):
        holdfasts.cli("destination", "pause", "far", "--data", self.near.data)

    def resume(self):
        holdfasts.cli("destination", "resume", "far", "--data", self.near.data)

    def fill_large(self, count, size):
        """Objects at the first, and the same bytes as files for the clients."""
        block, files = os.urandom(size - 8), self.folder / "files"
        files.mkdir()
        connections = [holdfasts.client(self.near) for _ in range(4)]

        def put(some):
            for i in range(some, count, 4):
                body = i.to_bytes(8, "big") + block
                (files / f"{i:05d}").write_bytes(body)
                connections[some].put_object(Bucket=BUCKET, Key=f"large/{i:05d}", Body=body)
        threads = [threading.Thread(target=put, args=(i,)) for i in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def measure(self, start):
        """From start() to the end of the copy: seconds, CPU of both servers, memory of ours."""
        near, far = Usage(self.near.process.pid), Usage(self.far.process.pid)
        began = time.monotonic()
        start()
        self.wait_copied()
        seconds = time.monotonic() - began
        return {"seconds": seconds, "cpu": near.end(), "far_cpu": far.end(), "mib": near.anonymous}

    def measure_client(self, tool):
        """The same by another client, into a bucket of its own."""
        self.theirs += 1
        bucket = f"theirs{self.theirs}"
        holdfasts.client(self.far).create_bucket(Bucket=bucket)
        near, far = Usage(self.near.process.pid), Usage(self.far.process.pid)
        seconds, cpu, mib = CLIENTS[tool](self, bucket)
        return {"seconds": seconds, "cpu": cpu, "near_cpu": near.end(), "far_cpu": far.end(), "mib": mib}


def rclone_env(name, server):
    prefix = f"RCLONE_CONFIG_{name}_"
    return {prefix + "TYPE": "s3", prefix + "PROVIDER": "Other", prefix + "ENDPOINT": server.endpoint,
            prefix + "REGION": "us-east-1", prefix + "ACCESS_KEY_ID": server.access_key,
            prefix + "SECRET_ACCESS_KEY": server.secret_key}


def rclone_sync(pair, bucket):
    env = {"RCLONE_CONFIG": "/dev/null", **rclone_env("NEAR", pair.near), **rclone_env("FAR", pair.far)}
    return run_client([program("rclone"), "sync", f"NEAR:{BUCKET}", f"FAR:{bucket}", "--transfers", "64", "--checkers", "64",
                       "--stats", "0"], env)


def rclone_files(pair, bucket):
    """From a folder of files: none of the source's cost."""
    env = {"RCLONE_CONFIG": "/dev/null", **rclone_env("FAR", pair.far)}
    return run_client([program("rclone"), "copy", pair.folder / "files", f"FAR:{bucket}", "--transfers", "8", "--stats", "0"], env)


def s5cmd_files(pair, bucket):
    env = {"AWS_ACCESS_KEY_ID": pair.far.access_key, "AWS_SECRET_ACCESS_KEY": pair.far.secret_key, "AWS_REGION": "us-east-1"}
    return run_client([program("s5cmd"), "--endpoint-url", pair.far.endpoint, "cp", f"{pair.folder}/files/", f"s3://{bucket}/"], env)


CLIENTS = {"rclone sync": rclone_sync, "rclone copy": rclone_files, "s5cmd": s5cmd_files}


# ---- workloads: each gives a list of rows ----

def in_turn(i, *calls):
    """Each call's answer; who goes first changes from round to round."""
    order = range(len(calls)) if i % 2 == 0 else reversed(range(len(calls)))
    answers = {n: calls[n]() for n in order}
    return [answers[n] for n in range(len(calls))]


def beside(ours, *others, **more):
    """A row: ours, and the fastest of the others."""
    best = min(others, key=lambda o: o["seconds"])
    return [{"seconds": ours["seconds"], "their_seconds": best["seconds"], "ratio": best["seconds"] / ours["seconds"],
             "cpu": ours["cpu"], "far_cpu": ours["far_cpu"], "their_cpu": best["cpu"], "mib": ours["mib"],
             "their_mib": best["mib"], **more}]


def backlog(options, i, connections, count):
    with Pair(options, f"backlog{i}") as pair:
        pair.add()
        pair.wait_copied()
        pair.pause()
        put_all(pair.near, names(count), os.urandom(4 * KIB), connections)
        os.sync()
        return beside(*in_turn(i, lambda: pair.measure(pair.resume), lambda: pair.measure_client("rclone sync")), objects=count)


def small(options, i):
    return backlog(options, i, 64, options.objects)


def serial(options, i):
    return backlog(options, i, 1, options.objects // 10)


def seed(options, i):
    with Pair(options, f"seed{i}") as pair:
        put_all(pair.near, names(options.objects), os.urandom(4 * KIB), 64)
        os.sync()
        return beside(*in_turn(i, lambda: pair.measure(pair.add), lambda: pair.measure_client("rclone sync")),
                      objects=options.objects)


def large(options, i):
    with Pair(options, f"large{i}") as pair:
        pair.add()
        pair.wait_copied()
        pair.pause()
        pair.fill_large(options.mib // 64, 64 * MIB)
        os.sync()
        return beside(*in_turn(i, lambda: pair.measure(pair.resume), lambda: pair.measure_client("s5cmd"),
                               lambda: pair.measure_client("rclone copy")), objects=options.mib // 64)


class Watch(threading.Thread):
    """Sees when keys appear at the other store."""

    def __init__(self, pair):
        super().__init__(daemon=True)
        self.server, self.written, self.lags, self.over = pair.far, {}, [], False
        self.signer = s3raw.Signer(self.server.access_key, self.server.secret_key)
        self.connection = http.client.HTTPConnection(self.server.host, timeout=60)

    def is_there(self, key):
        self.connection.request("HEAD", self.signer.presign("HEAD", self.server.host, f"/outside/copies/{BUCKET}/{key}"))
        answer = self.connection.getresponse()
        answer.read()
        return answer.status == 200

    def run(self):
        while self.written or not self.over:
            for key, at in list(self.written.items()):
                if self.is_there(key):
                    self.lags.append(time.monotonic() - at)
                    del self.written[key]
            time.sleep(0.002)

    def end(self):
        self.over = True
        self.join()
        lags = sorted(self.lags)
        return {"seconds": lags[len(lags) // 2], "p99": lags[min(len(lags) - 1, len(lags) * 99 // 100)], "max": lags[-1],
                "objects": len(lags)}


def lag(options, i):
    with Pair(options, f"lag{i}") as pair:
        pair.add()
        pair.wait_copied()
        watch, body, began = Watch(pair), os.urandom(4 * KIB), time.monotonic()
        watch.start()
        for n in range(50 * 20):
            time.sleep(max(0, began + n / 50 - time.monotonic()))
            pair.s3.put_object(Bucket=BUCKET, Key=f"lag/{n}", Body=body)
            watch.written[f"lag/{n}"] = time.monotonic()
        return [watch.end()]


def laglarge(options, i):
    with Pair(options, f"laglarge{i}") as pair:
        pair.add()
        pair.wait_copied()
        watch, body = Watch(pair), os.urandom(100 * MIB)
        watch.start()
        for n in range(10):
            pair.s3.put_object(Bucket=BUCKET, Key=f"lag/{n}", Body=body)
            watch.written[f"lag/{n}"] = answered = time.monotonic()
            while watch.written:
                time.sleep(0.002)
            time.sleep(9 * (time.monotonic() - answered))
        return [watch.end()]


def foreground(options, i):
    """4 KiB PUTs on 64 connections, without the copying and with it in turn."""
    with Pair(options, f"foreground{i}", elsewhere=True) as pair:
        pair.add()
        pair.wait_copied()
        count = itertools.count()

        def load():
            return put_for(pair.near, 2, f"f{next(count)}")
        load()
        rates = {False: [], True: []}
        for n in range(16):
            copying = (n + n // 2 + i) % 2 == 1  # neither always comes first
            (pair.resume if copying else pair.pause)()
            rates[copying].append(load())
        alone, copied = statistics.median(rates[False]), statistics.median(rates[True])
        return [{"alone_s": alone, "copying_s": copied, "cost": 1 - copied / alone}]


def fill_far(pair, count):
    """As if a node had copied them there."""
    holdfasts.client(pair.far).create_bucket(Bucket="outside")
    for first in range(0, count, 100_000):
        keys = [f"copies/{BUCKET}/o/{n % 100:02d}/{n:07d}" for n in range(first, min(count, first + 100_000))]
        put_all(pair.far, keys, b"x", 64, "outside")
    return keys[-1].removeprefix(f"copies/{BUCKET}/")


def start_restore(pair):
    """The first node and its disk are gone; a new one in its place takes in what is outside."""
    far = pair.far
    pair.near.kill()
    shutil.rmtree(pair.near.data)
    pair.near.start()
    command = [harness.BINARY, "restore", "--data", pair.near.data, "--provider", "s3", "--endpoint", far.endpoint, "--region",
               "us-east-1", "--bucket", "outside", "--path", "copies", "--access-key-id", far.access_key,
               "--secret-access-key-file", "-", "--take-over"]
    process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    process.stdin.write(pair.far.secret_key.encode())
    process.stdin.close()
    return process


def read(options, i):
    rows = []
    for count in (1000, options.objects):
        with Pair(options, f"read{i}") as pair:
            key = fill_far(pair, count)
            began = time.monotonic()
            process = start_restore(pair)
            started = time.monotonic()
            while True:
                try:
                    pair.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
                    break
                except Exception as e:
                    if time.monotonic() - started > 60:
                        raise RuntimeError(f"no read: {e}") from e
                    time.sleep(0.01)
            rows.append({"objects": count, "seconds": time.monotonic() - started, "start_s": started - began})
            process.wait()
    return rows


def import_(options, i):
    with Pair(options, f"import{i}") as pair:
        fill_far(pair, options.listed)
        signer, began, n, token = holdfasts.client(pair.far), time.monotonic(), 0, {}
        far = Usage(pair.far.process.pid)
        while True:
            page = signer.list_objects_v2(Bucket="outside", **token)
            n += page["KeyCount"]
            if not page["IsTruncated"]:
                break
            token = {"ContinuationToken": page["NextContinuationToken"]}
        listing, listing_cpu = time.monotonic() - began, far.end()
        process = start_restore(pair)
        near, far, began = Usage(pair.near.process.pid), Usage(pair.far.process.pid), time.monotonic()
        text = process.stderr.read()
        if process.wait() != 0:
            raise RuntimeError(f"restore: {text[-300:]!r}")
        return [{"objects": n, "seconds": time.monotonic() - began, "boto_listing_s": listing, "listing_cpu": listing_cpu,
                 "cpu": near.end(), "far_cpu": far.end(), "mib": near.anonymous}]


WORKLOADS = {"small": small, "serial": serial, "seed": seed, "large": large, "lag": lag, "laglarge": laglarge,
             "foreground": foreground, "read": read, "import": import_}


def median_of(rows):
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(WORKLOADS))
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--listed", type=int, default=1_000_000)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--dir", type=Path, default=TOP / "build/bench")
    parser.add_argument("--concurrency", type=int, default=0)
    options = parser.parse_args()
    options.folder = options.dir.resolve() / f"replication.{os.getpid()}"
    options.folder.mkdir(parents=True)
    table = []
    try:
        for name in options.only.split(","):
            rounds = []
            for i in range(options.rounds):
                rounds.append(WORKLOADS[name](options, i))
                for row in rounds[-1]:
                    say(name + " " + json.dumps({k: round(v, 3) for k, v in row.items()}))
            table += [(name, median_of(rows)) for rows in zip(*rounds)]
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    print(time.strftime("%Y-%m-%d %H:%M"), f"{os.cpu_count()} processors, medians of {options.rounds}")
    for name, row in table:
        print(f"{name:<11}", "  ".join(f"{key} {value:,.{0 if value >= 100 else 2}f}" for key, value in row.items()))


main()
