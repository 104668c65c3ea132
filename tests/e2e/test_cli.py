"""The command line: what each command does, with a server and without one, and what it says when it will not."""

import configparser
import json
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import time
import urllib.request
from pathlib import Path

import botocore.exceptions
import pytest

import harness
import s3raw
from conftest import client_for

pytestmark = pytest.mark.skipif(bool(harness.FOREIGN_ENDPOINT), reason="needs a holdfast of its own")


# The environment without settings of a server, but for the one that sanitizers need.
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("HOLDFAST_") or k == "HOLDFAST_CORE_DUMPS"}


def holdfast(*words, stdin="", env=None, check=0):
    """Runs a command; its exit status must be `check`."""
    done = subprocess.run([str(harness.BINARY), *map(str, words)], input=stdin, env={**CLEAN, **(env or {})},
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == check, (words, done.returncode, done.stdout, done.stderr)
    return done


def refused(*words, **how):
    """The sentence with which a command line is refused."""
    done = holdfast(*words, check=2, **how)
    assert done.stdout == "" and done.stderr.startswith("holdfast: ")
    return done.stderr


class Plain:
    """A server started with exactly these words, for what the harness would hide: its first output and settings."""

    def __init__(self, folder, *words, env=None):
        self.log_path = Path(folder) / "server.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(harness.BINARY), "serve", *map(str, words)], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env={**CLEAN, **(env or {})})

    def log(self):
        return self.log_path.read_text()

    def ready(self):
        """Waits for its ready line, and returns it."""
        def found():
            return '"event":"serve.ready"' in self.log()
        harness.wait_until("ready", found, 30, alive=lambda: self.process.poll() is None)
        return next(json.loads(line) for line in self.log().splitlines() if "serve.ready" in line)

    def end(self, sig=signal.SIGTERM):
        self.process.send_signal(sig)
        return self.process.wait(30)


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(*words, env=None):
        words = list(words)
        for name in ("--listen", "--admin-listen"):
            if name not in words and "--config" not in words:
                words += [name, "127.0.0.1:0"]
        started.append(Plain(tmp_path, *words, env=env))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


# The line itself


def test_help_knows_every_command():
    overview = holdfast("help").stdout
    for command in ("serve", "key add", "key list", "key remove", "bucket add", "bucket list", "bucket remove",
                    "bucket quota", "bucket versioning", "status", "check", "rebuild", "help", "version"):
        assert f"  {command}" in overview
        one = holdfast("help", *command.split()).stdout
        assert one.startswith(f"Usage: holdfast {command}")
        assert holdfast(*command.split(), "--help").stdout == one
        assert max(map(len, one.splitlines())) <= 80
    assert holdfast("--help").stdout == overview
    assert "key add" in holdfast("help", "key").stdout


def test_the_version_is_the_headers():
    version = re.search(r'VERSION "(.*)"', (harness.TOP / "base/version.h").read_text()).group(1)
    assert holdfast("version").stdout == holdfast("--version").stdout == f"holdfast {version}\n"


def test_the_manual_has_every_option():
    manual = holdfast("help", "--man").stdout.replace("\\-", "-")
    for option in re.findall(r"^  (--[a-z-]+)", holdfast("help", "serve").stdout, re.M):
        assert f"\\fB{option}\\fR" in manual
    assert ".SH EXIT STATUS" in manual


@pytest.mark.parametrize("words, says", [
    (["serv"], ["serv", "holdfast serve"]),
    (["keys", "add"], ["keys"]),
    (["key"], ["key add"]),
    (["key", "ad", "x"], ["key ad", "key add"]),
    (["serve", "--lissen", "x"], ["--lissen", "--listen"]),
    (["serve", "--frobnicate"], ["--frobnicate", "holdfast help serve"]),
    (["serve", "-x"], ["-x", "two dashes"]),
    (["serve", "--data"], ["--data", "DIR"]),
    (["serve", "--listen", "nowhere"], ["--listen", "nowhere", "127.0.0.1:9000"]),
    (["serve", "--listen", "127.0.0.1:70000"], ["--listen", "70000"]),
    (["serve", "--threads", "0"], ["--threads", "0", "1 to 256"]),
    (["serve", "--threads", "many"], ["--threads", "many", "number"]),
    (["serve", "--idle-timeout", "soon"], ["--idle-timeout", "soon", "30s"]),
    (["serve", "--reserve", "1KiB"], ["--reserve", "1KiB"]),
    (["serve", "--inline-max=5GiB"], ["--inline-max", "5GiB"]),
    (["serve", "--log-level", "loud"], ["--log-level", "loud", "debug, info, warn or error"]),
    (["serve", "--data", "a", "--data", "b"], ["--data", "twice"]),
    (["serve", "surplus"], ["surplus", "one word too many"]),
    (["serve", "--config", "/nowhere.conf"], ["--config", "/nowhere.conf"]),
    (["key", "add"], ["NAME"]),
    (["key", "add", "a", "b"], ["\"b\""]),
    (["bucket", "quota", "b", "lots", "--data", "x"], ["lots", "500GiB"]),
    (["help", "frobnicate"], ["frobnicate"]),
    (["check"], ["DIR"]),
])
def test_a_wrong_line_is_refused_with_option_value_and_remedy(words, says):
    sentence = refused(*words)
    for word in says:
        assert word in sentence


def test_nothing_at_all_shows_the_commands():
    done = holdfast(check=2)
    assert "Commands:" in done.stderr


@pytest.mark.parametrize("option", ["--secret-key", "--access-key"])
def test_secrets_are_not_taken_on_the_line_and_not_repeated(option):
    for words in ([option, "s3cr3t"], [f"{option}=s3cr3t"]):
        sentence = refused("serve", *words)
        assert option in sentence and "s3cr3t" not in sentence


def test_the_environment_is_checked_like_the_line():
    sentence = refused("serve", env={"HOLDFAST_THREADS": "none"})
    assert "HOLDFAST_THREADS" in sentence and "none" in sentence
    sentence = refused("serve", "--data", "/nonexistent/x", env={"HOLDFAST_TLS_SELF_SIGNED": "a",
                                                                 "HOLDFAST_LISTEN": "127.0.0.1:0,wrong"})
    assert "HOLDFAST_LISTEN" in sentence and "wrong" in sentence


# The configuration file


def test_a_configuration_file_sets_what_the_line_does_not(serve, tmp_path):
    config = tmp_path / "holdfast.conf"
    config.write_text(f"# ours\ndata = {tmp_path}/data\nlisten = 127.0.0.1:0, localhost:0\nadmin-listen = 127.0.0.1:0\n"
                      "access-key = kurl\nsecret-key = abcdefghi\nregion = nowhere\nlog-level = warn\n")
    server = serve("--config", config, "--log-level", "info")
    ready = server.ready()
    first, second = ready["endpoint"].split()
    assert first.startswith("http://127.0.0.1:") and second.startswith("http://localhost:")
    assert ready["data"] == f"{tmp_path}/data" and "secret key" not in server.log()
    address = first.split("//")[1]
    name, port = address.split(":")
    ours = s3raw.Client((name, int(port)), address, "kurl", "abcdefghi")
    assert ours.get("/").status == 400
    ours.signer.region = "nowhere"
    assert ours.get("/").status == 200
    assert server.end() == 0


@pytest.mark.parametrize("text, says", [
    ("data = x\nlissen = 127.0.0.1:1\n", [":2:", "lissen", "listen"]),
    ("threads = none\n", [":1:", "threads", "none"]),
    ("[s3]\nregion = x\n", [":2:", "[s3]"]),
    ("config = other\n", [":1:", "config"]),
    ("data = x\ndata = y\n", [":2:", "data"]),
    ("tls-cert = x\n", ["--tls-cert", "--tls-key"]),
])
def test_a_wrong_configuration_is_refused_with_file_and_line(tmp_path, text, says):
    config = tmp_path / "holdfast.conf"
    config.write_text(text)
    done = holdfast("serve", "--config", config, "--data", tmp_path / "data", "--listen", "127.0.0.1:0", check=2)
    for word in says:
        assert word in done.stderr, done.stderr


# The administrator's pair


def test_a_first_start_makes_a_pair_and_shows_it_once(serve, tmp_path):
    data = tmp_path / "data"
    server = serve("--data", data)
    endpoint = server.ready()["endpoint"]
    secret = re.search(r"^secret key: ([A-Za-z0-9]{43})$", server.log(), re.M).group(1)
    access = re.search(r"^access key: (\w{20})$", server.log(), re.M).group(1)
    kept = data / "credentials"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    pair = configparser.ConfigParser()
    pair.read(kept)
    assert dict(pair["default"]) == {"aws_access_key_id": access, "aws_secret_access_key": secret}
    address = endpoint.split("//")[1]
    assert s3raw.Client(("127.0.0.1", int(address.split(":")[1])), address, access, secret).get("/").status == 200
    assert server.end() == 0

    server.log_path.write_text("")
    server = serve("--data", data)
    server.ready()
    assert secret not in server.log()
    assert server.end() == 0


def test_a_journal_is_not_told_the_secret(serve, tmp_path):
    server = serve("--data", tmp_path / "data", env={"JOURNAL_STREAM": "8:1234"})
    server.ready()
    assert "secret key" not in server.log() and "data/credentials" in server.log()


def test_half_a_pair_is_refused(tmp_path):
    done = holdfast("serve", "--data", tmp_path / "d", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
                    env={"HOLDFAST_ACCESS_KEY": "kurl"}, check=2)
    assert "HOLDFAST_ACCESS_KEY" in done.stderr and "HOLDFAST_SECRET_KEY" in done.stderr


def test_a_credentials_file_is_veleros(serve, tmp_path):
    file = tmp_path / "cloud"
    file.write_text("[default]\naws_access_key_id=kurl\naws_secret_access_key=abc/+def=\n")
    server = serve("--data", tmp_path / "data", "--credentials-file", file)
    address = server.ready()["endpoint"].split("//")[1]
    client = s3raw.Client(("127.0.0.1", int(address.split(":")[1])), address, "kurl", "abc/+def=")
    assert client.get("/").status == 200
    assert not (tmp_path / "data/credentials").exists()


# Keys and buckets, with a server and without one


@pytest.fixture(scope="module")
def running():
    s = harness.Server()
    try:
        yield s.start()
    finally:
        s.close()


def test_a_key_works_at_once_and_ends_at_once(running):
    client_for(running).create_bucket(Bucket="keyed")
    access, secret = running.add_key("some one", "--bucket", "keyed", "--rights", "read,write,list", "--prefix", "mine/")
    theirs = client_for(running, access, secret)
    theirs.put_object(Bucket="keyed", Key="mine/k", Body=b"x")
    for refused_call in (lambda: theirs.put_object(Bucket="keyed", Key="other", Body=b"x"),
                         lambda: theirs.delete_object(Bucket="keyed", Key="mine/k"),
                         lambda: theirs.create_bucket(Bucket="keyed2")):
        with pytest.raises(botocore.exceptions.ClientError) as refusal:
            refused_call()
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    listed = holdfast("key", "list", "--data", running.data)
    assert re.search(rf"^some one +{access} +read,write,list +keyed/mine/$", listed.stdout, re.M)
    assert secret not in listed.stdout
    key = json.loads(holdfast("key", "list", "--json", "--data", running.data).stdout)["keys"][0]
    assert key["name"] == "some one" and key["prefix"] == "mine/" and "secret_key" not in key
    holdfast("key", "remove", "some one", "--data", running.data)
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        theirs.get_object(Bucket="keyed", Key="mine/k")
    assert refusal.value.response["Error"]["Code"] == "InvalidAccessKeyId"


def test_a_key_may_be_brought_along(running, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("file/secret+1=\n")
    for name, source, stdin, value in (("one", secret, "", "file/secret+1="), ("two", "-", "typed\nmore\n", "typed")):
        answer = json.loads(holdfast("key", "add", name, "--access-key", f"own-{name}", "--secret-from", source, "--json",
                                     "--data", running.data, stdin=stdin).stdout)
        assert (answer["access_key"], answer["secret_key"]) == (f"own-{name}", value)
        assert client_for(running, f"own-{name}", value).list_buckets()["Buckets"] is not None
        holdfast("key", "remove", f"own-{name}", "--data", running.data)


@pytest.mark.parametrize("words, status, says", [
    (["key", "add", "x", "--rights", "fly"], 2, ["fly", "read, write, list, delete and admin"]),
    (["key", "add", "x", "--rights", ""], 2, ["--rights"]),
    (["key", "add", "x", "--prefix", "p/"], 2, ["bucket"]),
    (["key", "add", "x", "--bucket", "No"], 2, ["No"]),
    (["key", "add", "x", "--access-key", "a/b"], 2, ["a/b"]),
    (["key", "add", "x", "--secret-from", "/nowhere"], 2, ["--secret-from", "/nowhere"]),
    (["key", "add", ""], 2, ["name"]),
    (["key", "remove", "nobody"], 1, ["nobody", "key list"]),
    (["bucket", "add", "NO"], 2, ["NO", "3 to 63"]),
    (["bucket", "remove", "no-such"], 1, ["no-such"]),
    (["bucket", "quota", "no-such", "1GiB"], 1, ["no-such"]),
    (["bucket", "versioning", "b", "maybe"], 2, ["maybe", "enabled"]),
])
def test_what_cannot_be_is_refused_by_name(running, words, status, says):
    done = holdfast(*words, "--data", running.data, check=status)
    for word in says:
        assert word in done.stderr


def test_names_are_taken_once(running):
    running.add_key("taken")
    done = holdfast("key", "add", "taken", "--data", running.data, check=1)
    assert "taken" in done.stderr
    holdfast("bucket", "add", "taken", "--data", running.data)
    assert "taken" in holdfast("bucket", "add", "taken", "--data", running.data, check=1).stderr
    holdfast("bucket", "add", "taken", "--if-missing", "--data", running.data)


def bucket_of(data, name):
    buckets = json.loads(holdfast("bucket", "list", "--json", "--data", data).stdout)["buckets"]
    return next((b for b in buckets if b["name"] == name), None)


def test_buckets_and_their_settings(running):
    s3 = client_for(running)
    holdfast("bucket", "add", "set", "--quota", "1MiB", "--versioning", "--data", running.data)
    assert s3.get_bucket_versioning(Bucket="set")["Status"] == "Enabled"
    s3.put_object(Bucket="set", Key="k", Body=b"x" * 1000)
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        s3.put_object(Bucket="set", Key="l", Body=b"x" * 2_000_000)
    assert "quota" in str(refusal.value)
    holdfast("bucket", "quota", "set", "none", "--data", running.data)
    s3.put_object(Bucket="set", Key="l", Body=b"x" * 2_000_000)
    holdfast("bucket", "versioning", "set", "suspended", "--data", running.data)
    b = bucket_of(running.data, "set")
    assert (b["objects"], b["object_bytes"], b["quota_bytes"], b["versioning"]) == (2, 2_001_000, 0, "suspended")
    assert re.search(r"^set +2 +1\.9 MiB +none +suspended$", holdfast("bucket", "list", "--data", running.data).stdout, re.M)
    assert "holds" in holdfast("bucket", "remove", "set", "--data", running.data, check=1).stderr
    for entry in s3.list_object_versions(Bucket="set")["Versions"]:
        s3.delete_object(Bucket="set", Key=entry["Key"], VersionId=entry["VersionId"])
    holdfast("bucket", "remove", "set", "--data", running.data)
    assert bucket_of(running.data, "set") is None


def test_the_same_without_a_server(new_server):
    server = new_server().start()
    server.stop()
    holdfast("bucket", "add", "offline", "--data", server.data)
    access, secret = server.add_key("offline", "--bucket", "offline")
    assert bucket_of(server.data, "offline")["objects"] == 0
    status = holdfast("status", "--data", server.data).stdout
    assert "none runs" in status
    server.start()
    client_for(server, access, secret).put_object(Bucket="offline", Key="k", Body=b"x")


def test_no_store_is_made_by_looking(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        done = holdfast("key", "list", "--data", folder, check=1)
        assert str(folder) in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_status_tells_of_server_and_store(running):
    status = json.loads(holdfast("status", "--json", "--data", running.data).stdout)
    server = status["server"]
    assert server["pid"] == running.process.pid and server["endpoint"] == running.endpoint
    assert server["admin"] == running.admin and server["uptime_seconds"] >= 0
    assert 1 << 20 < server["resident_bytes"] < 1 << 32 or "asan" in str(harness.BINARY)
    assert status["disk"]["band"] == "open" and status["disk"]["free_bytes"] > 0
    text = holdfast("status", "--data", running.data).stdout
    assert running.endpoint in text and "damage       none found" in text


def test_the_control_socket_is_the_owners_alone(running):
    socket_file = running.data / "control.sock"
    assert stat.S_ISSOCK(socket_file.stat().st_mode) and stat.S_IMODE(socket_file.stat().st_mode) == 0o600


def test_a_deep_data_directory_has_a_socket_too(new_server, tmp_path):
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    server = new_server(data=deep / "data").start()
    server.add_key("deep")
    assert json.loads(holdfast("status", "--json", "--data", server.data).stdout)["server"]["pid"] == server.process.pid


# The control socket's HTTP, as another program would use it


def control(server, method, path, body=None):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(server.data / "control.sock"))
        payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                  f"Content-Length: {len(payload)}\r\n\r\n".encode() + payload)
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(rest) if rest else None


@pytest.mark.parametrize("method, path, body, status", [
    ("GET", "/v1/keys", None, 200), ("GET", "/v1/status", None, 200), ("GET", "/v1/nothing", None, 404),
    ("GET", "/", None, 404), ("PUT", "/v1/keys", None, 405), ("POST", "/v1/keys", {}, 400),
    ("POST", "/v1/keys", {"name": 5}, 400), ("POST", "/v1/keys", {"name": "x", "rights": "all"}, 400),
    ("POST", "/v1/keys", b"{", 400), ("POST", "/v1/keys", b"[1]", 400), ("POST", "/v1/buckets", None, 400),
    ("DELETE", "/v1/keys/%zz", None, 400), ("DELETE", "/v1/keys/none", None, 404),
    ("DELETE", "/v1/keys/" + "a" * 5000, None, 400), ("PATCH", "/v1/buckets/none", {"quota_bytes": -1}, 400),
    ("PATCH", "/v1/buckets/none", {"quota_bytes": 1}, 404), ("POST", "/v1/keys", b"[" * 60000, 400),
    ("POST", "/v1/keys", b" " * 70000, 413),
])
def test_the_control_socket_answers_everything(running, method, path, body, status):
    if status == 413:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(str(running.data / "control.sock"))
            s.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            assert b" 413 " in s.recv(4096)
        return
    got, answer = control(running, method, path, body)
    assert got == status
    assert status == 200 or answer["error"]


# The admin port


def test_the_admin_port_tells_and_does_nothing_else(running):
    def get(path, method="GET"):
        try:
            with urllib.request.urlopen(urllib.request.Request(running.admin + path, method=method), timeout=10) as a:
                return a.status, a.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    assert get("/healthz") == (200, "The server runs.\n")
    assert get("/readyz") == (200, "Ready.\n")
    assert get("/healthz", "HEAD") == (200, "")
    assert get("/readyz", "POST")[0] == 405
    for path in ("/", "/v1/keys", "/v1/status", "/metrics/x"):
        assert get(path)[0] == 404


def test_a_full_disk_is_ready_and_says_so(new_server):
    server = new_server(args=["--reserve", "1000TiB"]).start()
    with urllib.request.urlopen(server.admin + "/readyz", timeout=10) as answer:
        text = answer.read().decode()
    assert text.startswith("Ready, but the disk is nearly full (") and "small writes and deletes" in text
    assert 'holdfast_disk_band{band="reserve"} 1' in server.metrics()
    assert "nearly full" in holdfast("status", "--data", server.data).stdout


def test_a_server_starts_without_standard_descriptors(new_server, tmp_path):
    server = new_server()
    process = subprocess.Popen(["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *server.command()],
                               env={**CLEAN, "HOLDFAST_ACCESS_KEY": "a", "HOLDFAST_SECRET_KEY": "b"})
    server.process = process
    harness.wait_until("ready", server.ready, 30, alive=lambda: process.poll() is None)
    for fd in range(3):
        assert os.readlink(f"/proc/{process.pid}/fd/{fd}") == "/dev/null"


def test_metrics_are_prometheus_text(running):
    text = running.metrics()
    names, typed, seen = {}, {}, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            names[line.split()[2]] = line
            assert line.endswith(".")
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name in names and name not in typed
            typed[name] = kind
        else:
            match = re.fullmatch(r'([a-z_0-9]+)(\{[a-zA-Z_]+="[^"]*"(,[a-zA-Z_]+="[^"]*")*\})? ([0-9.e+-]+|\+Inf)', line)
            assert match, line
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert match[1] in typed or typed.get(base) == "histogram", line
            assert line.rpartition(" ")[0] not in seen, line
            seen.add(line.rpartition(" ")[0])
            assert typed.get(match[1]) != "counter" or match[1].endswith("_total"), line
    for name in ("holdfast_objects", "holdfast_disk_free_bytes", "holdfast_commits_total", "holdfast_http_requests_total",
                 "holdfast_s3_requests_total", "process_resident_memory_bytes", "process_cpu_seconds_total",
                 "process_open_fds"):
        assert name in typed, name
    assert running.secret_key not in text and running.access_key not in text


# The life of the process


def test_a_lock_names_the_other_process(running):
    done = holdfast("serve", "--data", running.data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", check=1)
    assert str(running.process.pid) in done.stderr and str(running.data) in done.stderr
    done = holdfast("check", running.data, check=3)
    assert str(running.process.pid) in done.stderr


def test_a_taken_address_is_named(running, tmp_path):
    done = holdfast("serve", "--data", tmp_path / "d", "--listen", running.host, "--admin-listen", "127.0.0.1:0", check=1)
    assert "--listen" in done.stderr and running.host in done.stderr


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_zero(serve, tmp_path, sig):
    server = serve("--data", tmp_path / "data")
    server.ready()
    assert server.end(sig) == 0
    assert '"event":"serve.end"' in server.log()
    assert not (tmp_path / "data/control.sock").exists()


def test_a_second_signal_ends_it_at_once(new_server):
    server = new_server(args=["--drain-timeout", "60s"]).start()
    raw = s3raw.Client(server.address, server.host, server.access_key, server.secret_key)
    raw.put("/held")
    with raw.connect() as c:
        c.send(raw.build("PUT", "/held/k", body=b"x" * 100_000)[:-50_000])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(5) == 128 + signal.SIGTERM
    server.process = None
    server.start()
    assert raw.request("HEAD", "/held/k").status == 404


def test_a_drain_has_an_end(new_server):
    server = new_server(args=["--drain-timeout", "1s"]).start()
    raw = s3raw.Client(server.address, server.host, server.access_key, server.secret_key)
    raw.put("/held")
    with raw.connect() as c:
        c.send(raw.build("PUT", "/held/k", body=b"x" * 100_000)[:-50_000])
        time.sleep(0.3)
        began = time.monotonic()
        assert server.terminate() == 0
        assert time.monotonic() - began < 10


def test_the_service_manager_is_told(serve, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(30)
        server = serve("--data", tmp_path / "data", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert notify.recv(100) == b"READY=1"
        server.process.send_signal(signal.SIGTERM)
        assert notify.recv(100) == b"STOPPING=1"
        assert server.process.wait(30) == 0


def test_the_access_log_is_opened_again(new_server, tmp_path):
    log = tmp_path / "access.log"
    server = new_server(args=["--access-log", str(log)]).start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="logged")
    harness.wait_until("the first line", lambda: "logged" in log.read_text(), 10)
    line = json.loads(log.read_text().splitlines()[-1])
    assert line["time"] and server.secret_key not in log.read_text()
    assert stat.S_IMODE(log.stat().st_mode) & 0o077 == 0
    log.rename(tmp_path / "access.log.1")
    server.process.send_signal(signal.SIGHUP)
    harness.wait_until("a new file", log.exists, 10)
    s3.create_bucket(Bucket="logged-later")
    harness.wait_until("the next line", lambda: "logged-later" in log.read_text(), 10)


def certificate_of(address):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(address, 10) as plain, context.wrap_socket(plain) as tls:
        return tls.getpeercert(binary_form=True)


def test_a_certificate_is_reloaded_without_a_restart(new_server, tmp_path):
    def make(name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "30", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout",
                        tmp_path / "key.pem", "-out", tmp_path / "cert.pem"], check=True, capture_output=True)

    make("one")
    server = new_server(tls=(tmp_path / "cert.pem", tmp_path / "key.pem")).start()
    client_for(server).list_buckets()
    first = certificate_of(server.address)
    assert re.search(r"^holdfast_tls_certificate_expiry_timestamp_seconds \d", server.metrics(), re.M)
    make("two")
    server.process.send_signal(signal.SIGHUP)
    harness.wait_until("another certificate", lambda: certificate_of(server.address) != first, 10)
    client_for(server).list_buckets()
    (tmp_path / "cert.pem").write_text("nonsense")
    server.process.send_signal(signal.SIGHUP)
    harness.wait_until("a complaint", lambda: "stays in use" in server.log(), 10)
    make("three")
    server.process.send_signal(signal.SIGHUP)


def test_a_self_signed_certificate_is_for_the_names_asked(serve, tmp_path):
    server = serve("--data", tmp_path / "data", "--tls-self-signed", "holdfast.test,127.0.0.1")
    endpoint = server.ready()["endpoint"]
    assert endpoint.startswith("https://127.0.0.1:")
    ca = tmp_path / "data/tls/ca.pem"
    assert f"CA certificate: {ca}" in server.log()
    import base64
    assert base64.b64decode(re.search(r"^caCert: (\S+)$", server.log(), re.M).group(1)) == ca.read_bytes()
    assert stat.S_IMODE((tmp_path / "data/tls/server.key").stat().st_mode) == 0o600
    address = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
    context = ssl.create_default_context(cafile=str(ca))
    for name in ("holdfast.test", "127.0.0.1"):
        with socket.create_connection(address, 10) as plain, context.wrap_socket(plain, server_hostname=name):
            pass
    with pytest.raises(ssl.SSLCertVerificationError):
        with socket.create_connection(address, 10) as plain, context.wrap_socket(plain, server_hostname="other.test"):
            pass
    assert server.end() == 0


def test_foreign_names_in_the_data_directory_are_left_alone(new_server, tmp_path):
    data = tmp_path / "data"
    (data / "lost+found").mkdir(parents=True)
    (data / "notes.txt").write_text("not ours")
    (data / ".snapshot").mkdir()
    server = new_server(data=data).start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="beside")
    s3.put_object(Bucket="beside", Key="k", Body=b"x" * 300_000)
    server.restart()
    assert (data / "notes.txt").read_text() == "not ours" and (data / "lost+found").is_dir()


def test_memory_and_descriptors_of_an_idle_server(running):
    limits = Path(f"/proc/{running.process.pid}/limits").read_text()
    soft, hard = re.search(r"Max open files +(\d+) +(\d+)", limits).groups()
    assert soft == hard
    assert os.environ.get("HOLDFAST_CORE_DUMPS") or re.search(r"Max core file size +0 +", limits)
    sanitized = "asan" in harness.BINARY.name
    assert sanitized or int(re.search(r"^process_resident_memory_bytes (\d+)", running.metrics(), re.M)[1]) < 10 << 20


def test_check_says_sound_in_words_and_in_json(new_server):
    server = new_server().start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="checked")
    s3.put_object(Bucket="checked", Key="k", Body=b"x" * 300_000)
    server.stop()
    assert "Sound." in holdfast("check", server.data, "--read-data").stdout
    result = json.loads(holdfast("check", server.data, "--json").stdout)
    assert result["sound"] is True and result["objects"] == 1 and result["findings"] == []


def test_check_finds_a_flipped_bit_and_exits_one(new_server):
    server = new_server().start()
    server.sound = False
    s3 = client_for(server)
    s3.create_bucket(Bucket="damaged")
    s3.put_object(Bucket="damaged", Key="some/key", Body=b"x" * 300_000)
    server.stop()
    file = next(p for p in (server.data / "extents").rglob("*") if p.is_file() and p.stat().st_size > 200_000)
    with open(file, "r+b") as f:
        f.seek(100_000)
        f.write(b"y")
    holdfast("check", server.data)
    found = holdfast("check", server.data, "--read-data", check=1).stdout
    assert "damage: " in found and "Damage: 1 " in found
    result = json.loads(holdfast("check", server.data, "--read-data", "--json", check=1).stdout)
    assert result["sound"] is False and result["damage"] >= 1


def test_check_of_nothing_could_not_check(tmp_path):
    assert str(tmp_path) in holdfast("check", tmp_path, check=3).stderr


def test_a_lost_index_is_rebuilt(new_server):
    server = new_server().start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="lost")
    s3.put_object(Bucket="lost", Key="large", Body=b"x" * 300_000)
    server.stop()
    assert "sound" in holdfast("rebuild", server.data, check=3).stderr
    shutil.rmtree(server.data / "index")
    assert "new index" in holdfast("rebuild", server.data, check=1).stdout
    server.start()
    assert client_for(server).get_object(Bucket="lost", Key="large")["Body"].read() == b"x" * 300_000
    server.stop()
    result = json.loads(holdfast("rebuild", server.data, "--force", "--json", check=1).stdout)
    assert result["added"] == 1 and result["report"]
    server.start()


def test_the_quick_start_may_be_run_again(tmp_path):
    ports = harness.Port(), harness.Port()
    # Beside the sources as they are, so that what is being tested is not built over.
    copy = tmp_path / "source"
    shutil.copytree(harness.TOP, copy, ignore=shutil.ignore_patterns("build*", ".git", "holdfast*-asan", "*.pyc"))
    (copy / "README.md").write_text("read me")
    (copy / "holdfast").unlink(missing_ok=True)
    (copy / "Makefile").write_text(f"all:\n\tinstall {harness.BINARY} holdfast\n")
    env = dict(os.environ, HOME=str(tmp_path / "home"), HOLDFAST_DATA=str(tmp_path / "home/data"),
               HOLDFAST_LISTEN=f"127.0.0.1:{ports[0].number}", HOLDFAST_ADMIN_LISTEN=f"127.0.0.1:{ports[1].number}")
    runs = []
    try:
        for _ in range(2):
            done = subprocess.run([copy / "deploy/quickstart"], env=env, capture_output=True, text=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr
            runs.append(done.stdout)
        told = [run[run.index("holdfast serves."):] for run in runs]
        assert told[0] == told[1]
        assert f"endpoint    http://127.0.0.1:{ports[0].number}" in told[0]
        line = re.search(r"^  (curl .*)$", told[0], re.M).group(1)
        done = subprocess.run(line + " -f -sS -w %{http_code}", shell=True, cwd=copy, capture_output=True, text=True,
                              timeout=30)
        assert done.stdout == "200", done.stdout + done.stderr
    finally:
        pid = tmp_path / "home/data/server.pid"
        if pid.exists():
            os.kill(int(pid.read_text()), signal.SIGTERM)
            harness.wait_until("the end", lambda: not (tmp_path / "home/data/control.sock").exists(), 30)
        for port in ports:
            port.release()
