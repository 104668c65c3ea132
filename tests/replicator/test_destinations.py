"""What a person does to destinations by the command line: changed settings, secrets, the configuration file, the log of changes."""

import json
import os
import pwd
import secrets
import subprocess

import harness
import pytest
from holdfasts import SCRUB_OFF, cli, client, destination, status, wait_settled
from s3_chaos import S3Chaos


@pytest.fixture
def near():
    server = harness.Server(args=SCRUB_OFF)
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def fake():
    with S3Chaos() as server:
        yield server


def add_fake(near, fake, *options, name="far", stdin=None, **how):
    return cli("destination", "add", name, "--data", near.data, "--provider", "s3", "--endpoint", fake.url, "--region", fake.region,
               "--bucket", fake.bucket, "--path", "copies", "--access-key-id", fake.ACCESS_KEY, *options,
               **({"stdin": stdin} if stdin is not None else {}), **how)


def set_one(near, *options, status=0):
    return cli("destination", "set", "far", "--data", near.data, *options, status=status)


def fields(near):
    return destination(near)["fields"]


def put(near, n=1, bucket="bucket", prefix="k"):
    s3 = client(near)
    if bucket not in [b["Name"] for b in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=bucket)
    for i in range(n):
        s3.put_object(Bucket=bucket, Key=f"{prefix}{i}", Body=b"x" * 100)
    return s3


def run(*words, env=None, stdin=""):
    return subprocess.run([str(harness.BINARY), *map(str, words)], input=stdin, capture_output=True, text=True, timeout=60,
                          env={**os.environ, **(env or {})})


# ---- settings ----

def test_a_flag_can_be_turned_off_and_a_number_or_a_text_taken_away(near, fake):
    add_fake(near, fake, "--secret-access-key-file", "-", "--concurrency", "3", "--bytes-per-second", "1MiB", "--delete-delay", "1h",
             "--window", "00:00-24:00 UTC", "--sse-bucket-key", "--storage-class", "COOL", "--brake-percent", "50", "--exclude", "",
             stdin=fake.SECRET_KEY)
    was = fields(near)
    assert was["sse_bucket_key"] and was["concurrency"] == 3 and was["exclude"] == "" and was["delete_delay_ms"] == 3600_000
    set_one(near, "--sse-bucket-key=false")
    set_one(near, "--bytes-per-second", "0", "--delete-delay", "0s")
    set_one(near, "--storage-class", "", "--window=", "--concurrency", "")
    set_one(near, "--clear", "brake-percent,exclude")
    now = fields(near)
    for name in ("sse_bucket_key", "bytes_per_second", "delete_delay_ms", "storage_class", "window", "concurrency", "brake_percent",
                 "exclude"):
        assert name not in now, name
    assert now["bucket"] == fake.bucket and now["secrets_kept"] == ["secret_access_key"]
    put(near)
    wait_settled(near)
    assert "no setting" in run("destination", "set", "far", "--data", near.data, "--clear", "colour").stderr
    assert run("destination", "set", "far", "--data", near.data, "--sse-bucket-key=perhaps").returncode == 2


def test_what_set_does_not_name_stays(near, fake):
    add_fake(near, fake, "--secret-access-key-file", "-", "--concurrency", "3", stdin=fake.SECRET_KEY)
    put(near, 5)
    wait_settled(near)
    set_one(near, "--bytes-per-second", "10MiB")
    assert fields(near)["concurrency"] == 3 and fields(near)["bytes_per_second"] == 10 << 20
    put(near, 5, prefix="l")
    wait_settled(near)
    assert len(fake.objects) >= 10


# ---- secrets ----

@pytest.mark.parametrize("way", ["file", "stdin", "environment", "command line"])
def test_a_secret_comes_from(near, fake, tmp_path, way):
    secret = tmp_path / "secret"
    secret.write_text(fake.SECRET_KEY + "\n")
    words = {"file": ("--secret-access-key-file", secret), "stdin": ("--secret-access-key-file", "-"), "environment": (),
             "command line": ("--secret-access-key", fake.SECRET_KEY)}[way]
    done = run("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", fake.url, "--region", fake.region,
               "--bucket", fake.bucket, "--access-key-id", fake.ACCESS_KEY, *words, stdin=fake.SECRET_KEY if way == "stdin" else "",
               env={"HOLDFAST_SECRET_ACCESS_KEY": fake.SECRET_KEY} if way == "environment" else None)
    assert done.returncode == 0, done.stderr
    assert fake.SECRET_KEY not in done.stdout + done.stderr
    put(near)
    wait_settled(near)


def test_a_secret_stands_in_no_list_of_processes_log_status_or_file(near, fake):
    secret = secrets.token_hex(20)
    fake.keys[fake.ACCESS_KEY] = (secret, None)
    proxy = "http://someone:proxy-password-1@127.0.0.1:1"
    seen = set()
    read, write = os.pipe()
    process = subprocess.Popen([str(harness.BINARY), "destination", "add", "far", "--data", str(near.data), "--provider", "s3", "--endpoint",
                                fake.url, "--bucket", fake.bucket, "--access-key-id", fake.ACCESS_KEY, "--secret-access-key-file", "-"],
                               stdin=read, env={**os.environ, "HOLDFAST_PROXY": proxy})
    # It waits for its standard input meanwhile.
    for folder in os.listdir("/proc"):
        if folder.isdigit():
            try:
                seen.add(open(f"/proc/{folder}/cmdline", "rb").read())
            except OSError:
                pass
    os.write(write, secret.encode())
    os.close(write), os.close(read)
    assert process.wait(30) == 0
    assert any(b"secret-access-key-file" in line for line in seen)
    hidden = [secret.encode(), b"proxy-password-1"]
    put(near)
    # The proxy is dead, which an error tells of.
    harness.wait_until("an error", lambda: destination(near)["last_error"], 30)
    cli("destination", "test", "far", "--data", near.data, status=None)
    said = json.dumps(status(near)) + cli("status", "--data", near.data) + cli("destination", "log", "--data", near.data) + near.metrics()
    for word in hidden:
        assert not any(word in line for line in seen)
        assert word not in said.encode() and word not in near.log().encode()
        for path in near.data.rglob("*"):
            if path.is_file():
                assert word not in path.read_bytes(), path


# ---- the log of changes ----

def test_the_log_names_who_changed_what_and_no_secret(near, fake):
    me = f"{pwd.getpwuid(os.getuid()).pw_name} (uid {os.getuid()})"
    add_fake(near, fake, "--secret-access-key-file", "-", stdin=fake.SECRET_KEY)
    set_one(near, "--concurrency", "7", "--secret-access-key", "another")
    done = run("destination", "pause", "far", "--data", near.data, env={"SUDO_USER": "alice"})
    assert done.returncode == 0
    cli("destination", "resume", "far", "--data", near.data)
    cli("destination", "remove", "far", "--data", near.data)
    changes = json.loads(cli("destination", "log", "far", "--json", "--data", near.data))["changes"]
    assert [c["what"].removeprefix("destination.") for c in changes] == ["add", "set", "pause", "resume", "remove"]
    assert changes[0]["detail"]["bucket"] == fake.bucket and changes[0]["detail"]["secrets_kept"] == ["secret_access_key"]
    assert changes[1]["detail"] == {"concurrency": {"from": 0, "to": 7}, "secret_access_key": "changed"}
    assert changes[2]["who"] == f"{me}, for alice"
    assert all(c["who"].startswith(me) for c in changes)
    text = cli("destination", "log", "--data", near.data)
    assert "concurrency: 0 -> 7" in text and me in text and "another" not in text and fake.SECRET_KEY not in text
    assert (near.data / "audit.log").stat().st_mode & 0o777 == 0o600
    near.restart()
    assert len(json.loads(cli("destination", "log", "--json", "--data", near.data))["changes"]) == 5


# ---- the configuration file ----

def test_one_of_the_configuration_file_wins_and_is_read_only(near, fake):
    """Also over a saved one of its name, whose copy says nothing of the other place, and which is back when the file lets go."""
    add_fake(near, fake, "--secret-access-key-file", "-", stdin=fake.SECRET_KEY)
    put(near, 20)
    wait_settled(near)
    with S3Chaos(bucket="elsewhere") as other:
        config = near.own_root / "config"
        config.write_text(f"[destination far]\nprovider = s3\nendpoint = {other.url}\nregion = us-east-1\nbucket = elsewhere\n"
                          f"access-key-id = {other.ACCESS_KEY}\nsecret-access-key = {other.SECRET_KEY}\n")
        config.chmod(0o600)
        near.args += ["--config", str(config)]
        near.restart()
        wait_settled(near)
        assert destination(near)["from_config"] and fields(near)["bucket"] == "elsewhere"
        # What was outside at the one place is not taken to be at the other.
        assert len([k for k in other.objects if k.startswith(b"bucket/k")]) == 20
        assert "(set by the configuration file)" in cli("destination", "list", "--data", near.data)
        for words in (("set", "far", "--concurrency", "2"), ("remove", "far")):
            done = run("destination", *words, "--data", near.data)
            assert done.returncode == 1 and "the configuration file" in done.stderr and "there" in done.stderr
        done = run("destination", "add", "far", "--data", near.data, "--provider", "s3", "--endpoint", fake.url, "--bucket", fake.bucket,
                   "--access-key-id", fake.ACCESS_KEY, "--secret-access-key", fake.SECRET_KEY)
        assert done.returncode == 1 and "already" in done.stderr
        assert other.SECRET_KEY not in cli("destination", "log", "--data", near.data) + near.log()
    near.args = near.args[:-2]
    client(near).put_object(Bucket="bucket", Key="while-away", Body=b"x")
    near.restart()
    wait_settled(near)
    assert not destination(near)["from_config"] and fields(near)["bucket"] == fake.bucket
    assert b"copies/bucket/while-away" in fake.objects


SECRETS = {"secret-access-key": "s3", "session-token": "s3", "client-secret": "azure", "account-key": "azure", "sas-token": "azure",
           "proxy": "s3"}


@pytest.mark.parametrize("way", ["environment", "file", "stdin"])
def test_every_secret_may_come_from(near, tmp_path, way):
    for i, (name, provider) in enumerate(SECRETS.items()):
        value = {"proxy": "http://someone:hidden-value@127.0.0.1:1",
                 "sas-token": "sv=2022-11-02&sp=rwdl&sig=aGlkZGVu"}.get(name, "aGlkZGVuLXZhbHVl")
        (tmp_path / name).write_text(value + "\n")
        words = {"environment": (), "file": (f"--{name}-file", tmp_path / name), "stdin": (f"--{name}-file", "-")}[way]
        fixed = {"s3": ("--endpoint", "http://127.0.0.1:1", "--region", "us-east-1", "--access-key-id", "id"),
                 "azure": ("--storage-account", "account", "--endpoint", "http://127.0.0.1:1")}[provider]
        if name in ("session-token", "proxy"):
            fixed += ("--secret-access-key-file", tmp_path / "secret-access-key")
        if name == "client-secret":
            fixed += ("--tenant-id", "tenant", "--client-id", "client")
        done = run("destination", "add", f"far-{i}", "--data", near.data, "--provider", provider, "--bucket", "there", *fixed, *words,
                   stdin=value if way == "stdin" else "",
                   env={"HOLDFAST_" + name.upper().replace("-", "_"): value} if way == "environment" else None)
        assert done.returncode == 0, (name, done.stderr)
        assert name.replace("-", "_") in destination(near, f"far-{i}")["fields"]["secrets_kept"]
        assert "hidden-value" not in json.dumps(status(near)) and "aGlkZGVu" not in json.dumps(status(near))
        cli("destination", "remove", f"far-{i}", "--data", near.data)
    assert "hidden-value" not in near.log() and "aGlkZGVu" not in near.log()
