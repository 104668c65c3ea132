"""Clients written in Go: programs on SDKs, the kopia client, and Velero's persistence with its AWS plugin (see go/build)."""

import os

import pytest

import harness


def program(name, optional=False):
    """The path of build/go/NAME, built first if need be; skips the test when it is optional and cannot be had."""
    harness.run([harness.TOP / "tests/e2e/go/build"], env={"HOME": os.environ.get("HOME", "/root")}, timeout=1200)
    path = harness.BUILD / "go" / name
    if optional and not path.exists():
        pytest.skip(f"the modules of {name} cannot be had here")
    return path


def key_pair(server):
    return {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}


class Velero:
    """Velero with a backup storage location at a server."""

    def __init__(self, server, scratch, bucket, prefix="", **options):
        credentials = scratch / "velero-credentials"
        credentials.write_text(f"[default]\naws_access_key_id={server.access_key}\n"
                               f"aws_secret_access_key={server.secret_key}\n")
        self.line = [program("velero-1.18", optional=True), "-plugin", program("velero-plugin-for-aws-1.18"),
                     "-endpoint", server.endpoint, "-bucket", bucket, "-prefix", prefix, "-credentials", credentials]
        if server.ca:
            self.line += ["-ca", server.ca]
        for name, value in options.items():
            self.line += [f"-{name}", value]

    def __call__(self, *words, **how):
        return harness.run([*self.line, *words], timeout=120, **how).stdout.split()


class Kopia:
    """kopia with a repository at a server, as Velero's uploader lays it out."""

    PASSWORD = "static-passw0rd"

    def __init__(self, server, scratch, bucket, prefix="kopia/default/"):
        self.env = {**key_pair(server), "KOPIA_PASSWORD": self.PASSWORD, "KOPIA_CHECK_FOR_UPDATES": "false",
                    "KOPIA_CONFIG_PATH": str(scratch / "repository.config"), "KOPIA_LOG_DIR": str(scratch / "log"),
                    "KOPIA_CACHE_DIRECTORY": str(scratch / "cache"), "HOME": str(scratch)}
        scratch.mkdir(exist_ok=True)
        self.kopia = program("kopia-0.22", optional=True)
        self.where = ["s3", "--bucket", bucket, "--prefix", prefix, "--endpoint", server.host]
        self.where += ["--root-ca-pem-path", server.ca] if server.ca else ["--disable-tls"]

    def __call__(self, *words, **how):
        return harness.run([self.kopia, "--no-progress", *words], env=self.env, timeout=170, **how)

    def moved(self, days):
        """The same client so many days later."""
        self.env["KOPIA_TEST_DAYS"] = str(days)
        return self

    def create(self):
        return self("repository", "create", *self.where)

    def connect(self):
        return self("repository", "connect", *self.where)

    def maintain(self, safety="none"):
        """All that maintenance does, at once instead of over days unless its safety is full."""
        return self("maintenance", "run", "--full", f"--safety={safety}")

    def verify(self):
        """Reads every byte of every snapshot."""
        return self("snapshot", "verify", "--verify-files-percent=100")

    def snapshots(self):
        import json
        return [s["id"] for s in json.loads(self("snapshot", "list", "--all", "--json").stdout)]
