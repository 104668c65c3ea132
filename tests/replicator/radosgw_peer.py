"""Ceph's gateway, as small as it goes: one monitor, one store in memory, one gateway. Used where Debian's radosgw, ceph-mon,
ceph-osd and ceph-common are installed (135 MB of memory, some 15 seconds to start)."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

PROGRAMS = ("radosgw", "radosgw-admin", "ceph", "ceph-mon", "ceph-osd", "ceph-authtool", "monmaptool")
CONF = """[global]
fsid = {fsid}
keyring = {folder}/keyring
mon host = [v2:127.0.0.1:{mon}/0,v1:127.0.0.1:{mon1}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = {folder}
admin socket = {folder}/$name.asok
log file = {folder}/$name.log
pid file = {folder}/$name.pid
osd pool default size = 1
osd pool default min size = 1
mon allow pool size one = true
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon max pg per osd = 1000
osd crush chooseleaf type = 0
mon data avail crit = 1
[mon.a]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd memory target = 939524096
[client.admin]
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 16
rgw run sync thread = false
rgw enable usage log = false
"""


def is_installed():
    return all(shutil.which(p) for p in PROGRAMS)


def free_ports(n):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Radosgw:
    access_key, secret_key, bucket = "RGWKEY", "rgw-secret", "outside"

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="holdfast-rgw."))
        self.running = []
        self.port, mon, mon1 = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.conf = self.folder / "ceph.conf"
        self.conf.write_text(CONF.format(folder=self.folder, fsid=uuid.uuid4(), port=self.port, mon=mon, mon1=mon1))
        for name in ("mon", "osd"):
            (self.folder / name).mkdir()
        try:
            self.start(f"[v2:127.0.0.1:{mon}/0,v1:127.0.0.1:{mon1}/0]")
        except BaseException:
            self.close()
            raise

    def run(self, *command, seconds=60):
        return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, timeout=seconds,
                              env={**os.environ, "CEPH_CONF": str(self.conf)}).stdout

    def launch(self, *command):
        log = open(self.folder / f"{command[0]}.out", "wb")
        self.running.append(subprocess.Popen([*command, "-c", str(self.conf), "-f"], stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=log))

    def wait(self, what, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while True:
            try:
                if condition():
                    return
            except (OSError, subprocess.SubprocessError):
                pass
            if time.monotonic() > deadline or any(p.poll() is not None for p in self.running):
                raise RuntimeError(f"{what}: not in time")
            time.sleep(0.2)

    def start(self, addresses):
        f = self.folder
        keys = f / "keyring"
        self.run("ceph-authtool", "--create-keyring", keys, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self.run("ceph-authtool", keys, "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *", "--cap", "osd", "allow *")
        self.run("ceph-authtool", keys, "--gen-key", "-n", "osd.0", "--cap", "mon", "allow profile osd", "--cap", "osd", "allow *")
        fsid = self.conf.read_text().split("fsid = ")[1].split()[0]
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", addresses, f / "monmap")
        self.run("ceph-mon", "-c", self.conf, "--mkfs", "-i", "a", "--monmap", f / "monmap", "--keyring", keys)
        self.launch("ceph-mon", "-i", "a")
        ceph = ("ceph", "-c", self.conf)
        self.wait("the monitor", lambda: self.run(*ceph, "-s", seconds=5))
        osd = str(uuid.uuid4())
        self.run(*ceph, "osd", "new", osd)
        self.run(*ceph, "auth", "import", "-i", keys)
        self.run("ceph-osd", "-c", self.conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.launch("ceph-osd", "-i", "0")
        self.wait("the store", lambda: "1 up" in self.run(*ceph, "osd", "stat", seconds=5))
        self.launch("radosgw", "-n", "client.admin")
        self.wait("the gateway", lambda: urllib.request.urlopen(self.url, timeout=2).status == 200, 90)
        self.run("radosgw-admin", "-c", self.conf, "user", "create", "--uid=u", "--display-name=u",
                 f"--access-key={self.access_key}", f"--secret-key={self.secret_key}")

    def close(self):
        for process in reversed(self.running):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
