"""restic: a repository's whole life, over http and https, and several clients at once."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

import harness
from conftest import bucket_name

pytestmark = pytest.mark.skipif(not shutil.which("restic"), reason="restic is not installed")


class Restic:
    def __init__(self, server, scratch, bucket):
        self.env = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key,
                    "RESTIC_PASSWORD": "static-passw0rd", "RESTIC_CACHE_DIR": str(scratch / "cache"),
                    "RESTIC_REPOSITORY": f"s3:{server.endpoint}/{bucket}/restic/default"}
        self.options = ["--cacert", server.ca] if server.ca else []

    def __call__(self, *args, **how):
        return harness.run(["restic", *self.options, *args], env=self.env, timeout=170, **how)

    def snapshots(self):
        return [line.split()[0] for line in self("snapshots", "--compact").stdout.splitlines()
                if len(line) > 8 and set(line[:8]) <= set("0123456789abcdef")]


def tree(root, seed):
    for i in range(60):
        harness.write_random(root / f"d{i % 7}" / f"small-{i}", 100 + 997 * i, seed)
    harness.write_random(root / "large", 24 << 20, seed)
    (root / "empty").write_bytes(b"")
    (root / "ünïcode name").write_text("x")
    return root


def test_a_repository_lives_its_whole_life(any_server, tmp_path):
    restic = Restic(any_server, tmp_path, bucket_name())
    source = tree(tmp_path / "source", 1)
    restic("init")
    again = restic("init", check=False)
    assert again.returncode != 0 and "already" in again.stderr
    restic("backup", source)
    first = restic.snapshots()
    assert len(first) == 1
    restic("restore", first[0], "--target", tmp_path / "one")
    assert harness.same_tree(source, str(tmp_path / "one") + str(source)) is None

    shutil.rmtree(source / "d1")
    harness.write_random(source / "large", 20 << 20, 2)
    restic("backup", source)
    assert len(restic.snapshots()) == 2
    restic("check", "--read-data")

    before = int(restic("stats", "--mode", "raw-data", "--json").stdout.split('"total_size":')[1].split(",")[0].strip("}\n "))
    restic("forget", "--keep-last", "1", "--prune")
    assert len(restic.snapshots()) == 1
    after = int(restic("stats", "--mode", "raw-data", "--json").stdout.split('"total_size":')[1].split(",")[0].strip("}\n "))
    assert after < before - (15 << 20)
    restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "two")
    assert harness.same_tree(source, str(tmp_path / "two") + str(source)) is None


def test_backups_checks_and_a_prune_at_once_leave_a_sound_repository(server, tmp_path):
    bucket = bucket_name()
    restic = Restic(server, tmp_path, bucket)
    restic("init")
    for seed in (1, 2, 3):
        restic("backup", "--host", "old", tree(tmp_path / f"old-{seed}", seed))

    # restic's own locks make a prune and the others refuse each other: that is an answer to wait out, damage is not
    def insist(client, *args):
        def done():
            told = client(*args, check=False)
            assert told.returncode == 0 or "lock" in told.stderr, told.stderr
            return told.returncode == 0
        harness.wait_until(" ".join(map(str, args)), done, 120)

    def backup(i):
        insist(Restic(server, tmp_path / f"client-{i}", bucket), "backup", "--host", f"h{i}",
               tree(tmp_path / f"new-{i}", 10 + i))

    def check(_):
        insist(Restic(server, tmp_path / "checker", bucket), "check")

    def prune(_):
        insist(restic, "forget", "--host", "old", "--keep-last", "1", "--prune")

    with ThreadPoolExecutor(4) as pool:
        for job in [pool.submit(backup, 0), pool.submit(backup, 1), pool.submit(check, 0), pool.submit(prune, 0)]:
            job.result()
    restic("check", "--read-data")
    for i in (0, 1):
        restic("restore", "latest", "--host", f"h{i}", "--target", tmp_path / f"back-{i}")
        assert harness.same_tree(tmp_path / f"new-{i}", str(tmp_path / f"back-{i}") + str(tmp_path / f"new-{i}")) is None


def test_a_repository_survives_a_kill_of_the_server_during_a_backup(new_server, tmp_path):
    server = new_server().start()
    restic = Restic(server, tmp_path, "killed")
    source = tree(tmp_path / "source", 1)
    restic("init")
    restic("backup", source)
    harness.write_random(source / "more", 64 << 20, 3)
    with ThreadPoolExecutor(1) as pool:
        backup = pool.submit(restic, "backup", source, check=False)
        stored = harness.Path(server.data)
        start = sum(f.stat().st_size for f in stored.rglob("*") if f.is_file())
        harness.wait_until("the backup writes", lambda: backup.done() or sum(
            f.stat().st_size for f in stored.rglob("*") if f.is_file() and os.path.exists(f)) > start + (4 << 20), 60)
        server.kill()
        server.start()
        backup.result()
    restic("unlock", "--remove-all")
    restic("backup", source)
    restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "back")
    assert harness.same_tree(source, str(tmp_path / "back") + str(source)) is None
