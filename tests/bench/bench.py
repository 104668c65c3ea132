#!/usr/bin/env python3
"""Measures an S3 server on this machine from outside; one JSON line for each workload.

    tests/bench/bench.py --endpoint http://127.0.0.1:9000 --access-key K --secret-key S [--pid PID] [--seconds 8]
                         [--only put4k,get4k]

Needs wrk and curl. With --pid, also the server's own CPU time for an operation and its resident memory.

    put4k   put4k1   PUTs of 4 KiB on 64 connections, on one          list     the whole bucket by pages of 1000
    get4k            GETs of 4 KiB on 64                              listd    its top level, by a delimiter
    put1m   get1m    1 MiB on 8                                       delete   what put4k wrote, 1000 a request
    put1g   get1g    1 GiB, once
    mpu1g            1 GiB as 64 parts of 16 MiB, 4 at a time
"""

import argparse
import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
import s3raw

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
BUCKET = "bench"
WORKLOADS = "put4k,put4k1,list,listd,delete,put1m,get4k,get1m,put1g,get1g,mpu1g"
HOUR = 3600
NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"

LUA = """
local threads = 0
function setup(thread) thread:set("at", threads); threads = threads + 1 end
function init()
  paths = {}
  for line in io.lines("%(paths)s") do paths[#paths + 1] = line end
  body = %(size)d > 0 and string.rep("x", %(size)d) or nil
end
function request() at = at + 2; return wrk.format("%(method)s", paths[at %% #paths + 1], nil, body) end
function done(summary, latency)
  local e = summary.errors
  print(string.format("RESULT %%d %%d %%d %%d %%d %%d", summary.requests, summary.duration,
    e.status + e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99), latency.max))
end
"""


class Target:
    def __init__(self, endpoint, access_key, secret_key, region, pid):
        self.endpoint = endpoint
        self.host = urllib.parse.urlsplit(endpoint).netloc
        self.signer = s3raw.Signer(access_key, secret_key, region)
        self.pid = pid
        self.run = str(int(time.time()))

    def path(self, method, key="", query=()):
        return self.signer.presign(method, self.host, f"/{BUCKET}{key}", query, expires=6 * HOUR)

    def request(self, connection, method, key="", query=(), body=None, headers=None):
        connection.request(method, self.path(method, key, query), body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {key}: {answer.status} {data[:200]!r}")
        return answer, data

    def connect(self):
        return http.client.HTTPConnection(self.host, timeout=600)

    def usage(self):
        """CPU seconds and resident bytes of the process and its children."""
        cpu = resident = 0
        look = [self.pid] if self.pid else []
        while look:
            pid = look.pop()
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                cpu += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                resident += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
                for task in os.listdir(f"/proc/{pid}/task"):
                    look += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
            except OSError:
                pass
        return cpu, resident


class Bench:
    def __init__(self, target, seconds, folder):
        self.t, self.seconds, self.folder = target, seconds, folder

    def say(self, workload, ops, nbytes, seconds, before, **more):
        cpu, resident = self.t.usage()
        line = {"workload": workload, "ops": ops, "ops_s": round(ops / seconds, 1),
                "mib_s": round(nbytes / seconds / MIB, 1), "seconds": round(seconds, 2), **more}
        if self.t.pid and ops:
            line.update(cpu_us_op=round((cpu - before) * 1e6 / ops, 1), cpu_s=round(cpu - before, 2),
                        rss_mib=round(resident / MIB, 1))
        print(json.dumps(line), flush=True)

    def load(self, workload, method, keys, size, connections):
        paths, script = self.folder / f"{workload}.paths", self.folder / f"{workload}.lua"
        paths.write_text("\n".join(self.t.path(method, key) for key in keys))
        script.write_text(LUA % {"paths": paths, "size": size if method == "PUT" else 0, "method": method})
        before = self.t.usage()[0]
        done = subprocess.run(["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{self.seconds}s", "--timeout", "30s",
                               "-s", script, self.t.endpoint], capture_output=True, text=True)
        found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
        if not found:
            raise RuntimeError(f"wrk: {done.stdout[-300:]}{done.stderr[-300:]}")
        ops, us, errors, p50, p99, worst = map(int, found.groups())
        self.say(workload, ops, ops * size, us / 1e6, before, errors=errors, p50_ms=p50 / 1e3, p99_ms=p99 / 1e3,
                 max_ms=worst / 1e3)

    @staticmethod
    def keys(tag, n):
        return [f"/{tag}/{i % 100:02d}/{i:07d}" for i in range(n)]

    def fill(self, tag, n, size):
        keys, body = self.keys(tag, n), os.urandom(size)

        def put(some):
            connection = self.t.connect()
            for key in some:
                self.t.request(connection, "PUT", key, body=body)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(put, [keys[i::8] for i in range(8)]))
        return keys

    def put4k(self):
        self.load("put4k", "PUT", self.keys(self.t.run, 150_000), 4 * KIB, 64)

    def put4k1(self):
        self.load("put4k1", "PUT", self.keys(self.t.run + "-1", 50_000), 4 * KIB, 1)

    def put1m(self):
        self.load("put1m", "PUT", self.keys(self.t.run + "-1m", 10_000), MIB, 8)

    def get4k(self):
        self.load("get4k", "GET", self.fill("4k", 2000, 4 * KIB), 4 * KIB, 64)

    def get1m(self):
        self.load("get1m", "GET", self.fill("1m", 64, MIB), MIB, 8)

    def curl(self, *words):
        done = subprocess.run(["curl", "-sS", "-o", "/dev/null", "-H", "Expect:", "-w", "%{http_code} %{time_total}", *words],
                              capture_output=True, text=True)
        code, _, seconds = done.stdout.partition(" ")
        if code not in ("200", "204"):
            raise RuntimeError(f"curl: {code} {done.stderr}")
        return float(seconds)

    def put_big(self):
        big = self.folder / "big"
        if not big.exists():
            with open(big, "wb") as f:
                block = os.urandom(16 * MIB - 8)
                for i in range(64):
                    f.write(i.to_bytes(8, "big") + block)
        return self.curl("-T", big, self.t.endpoint + self.t.path("PUT", "/big"))

    def put1g(self):
        before = self.t.usage()[0]
        self.say("put1g", 1, GIB, self.put_big(), before)

    def get1g(self):
        self.put_big()
        before = self.t.usage()[0]
        self.say("get1g", 1, GIB, self.curl(self.t.endpoint + self.t.path("GET", "/big")), before)

    def mpu1g(self):
        part, connection = os.urandom(16 * MIB), self.t.connect()
        before, began = self.t.usage()[0], time.monotonic()
        _, answer = self.t.request(connection, "POST", "/multi", [("uploads", "")])
        upload = ET.fromstring(answer).findtext(NS + "UploadId")

        def put(numbers):
            own = self.t.connect()
            return [(n, self.t.request(own, "PUT", "/multi", [("partNumber", str(n)), ("uploadId", upload)],
                                       part)[0].getheader("ETag")) for n in numbers]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            tags = sorted(sum(pool.map(put, [range(1 + i, 65, 4) for i in range(4)]), []))
        body = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in tags)
        sent = time.monotonic()
        self.t.request(connection, "POST", "/multi", [("uploadId", upload)],
                       f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>")
        end = time.monotonic()
        self.say("mpu1g", 1, GIB, end - began, before, complete_ms=round((end - sent) * 1e3, 1))

    def pages(self, **parameters):
        connection, query, found, n = self.t.connect(), {"list-type": "2", "max-keys": "1000", **parameters}, [], 0
        while True:
            root = ET.fromstring(self.t.request(connection, "GET", query=query.items())[1])
            n += 1
            found += [e.text for e in root.iterfind(f"{NS}Contents/{NS}Key")]
            found += [e.text for e in root.iterfind(f"{NS}CommonPrefixes/{NS}Prefix")]
            if root.findtext(NS + "IsTruncated") != "true":
                return found, n
            query["continuation-token"] = root.findtext(NS + "NextContinuationToken")

    def walk(self, workload, **parameters):
        before, began = self.t.usage()[0], time.monotonic()
        found, n = self.pages(**parameters)
        seconds = time.monotonic() - began
        self.say(workload, len(found), 0, seconds, before, pages=n, page_ms=round(seconds * 1e3 / n, 2))

    def list(self):
        self.walk("list")

    def listd(self):
        self.walk("listd", delimiter="/")

    def delete(self):
        keys, connection = self.pages(prefix=self.t.run + "/")[0], self.t.connect()
        before, began = self.t.usage()[0], time.monotonic()
        for i in range(0, len(keys), 1000):
            names = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys[i:i + 1000])
            body = f"<Delete><Quiet>true</Quiet>{names}</Delete>".encode()
            md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
            self.t.request(connection, "POST", query=[("delete", "")], body=body, headers={"Content-MD5": md5})
        self.say("delete", len(keys), 0, time.monotonic() - began, before)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("endpoint", "access-key", "secret-key"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--only", default=WORKLOADS)
    args = parser.parse_args()
    for program in ("wrk", "curl"):
        if not shutil.which(program):
            sys.exit(f"bench.py: {program} is not installed")
    target = Target(args.endpoint, args.access_key, args.secret_key, args.region, args.pid)
    try:
        target.request(target.connect(), "PUT")
    except RuntimeError as e:
        if ": 409 " not in str(e):
            raise
    if args.pid:
        print(json.dumps({"workload": "idle", "rss_mib": round(target.usage()[1] / MIB, 1)}), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        bench = Bench(target, args.seconds, Path(folder))
        for workload in args.only.split(","):
            os.sync()  # so that a workload does not pay for what the one before has left to be written
            try:
                getattr(bench, workload)()
            except (OSError, RuntimeError, http.client.HTTPException) as e:
                print(json.dumps({"workload": workload, "failed": str(e)[:300]}), flush=True)


main()
