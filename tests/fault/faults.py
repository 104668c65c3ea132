"""Arming the faults of inject.c, and requests whose every outcome is judged."""

import errno
import mmap
import os
import re
import struct
import subprocess
import sys

HERE = os.path.dirname(__file__)
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
import s3raw

KINDS = ("open", "write", "read", "fdatasync", "fsync", "link", "unlink",
         "truncate", "fallocate", "mkdir", "rename", "stat", "statvfs",
         "mmap", "sendfile", "accept", "allocate", "dup")
SHORT = 0
FOREVER = 2 ** 63


class Injector:
    """The page that is shared with the server."""

    LAYOUT = struct.Struct("=IIQQiIQQQ128s256s")
    ARMED = struct.Struct("=I")

    def __init__(self, path):
        self.path = str(path)
        with open(path, "wb") as f:
            f.write(bytes(4096))
        with open(path, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), 4096)

    def arm(self, kind, text, first, error, times=1):
        self.disarm()
        self.page[:self.LAYOUT.size] = self.LAYOUT.pack(
            0, KINDS.index(kind) + 1, first, times, error, 0, 0, 0, 0, b"",
            text.encode())
        self.ARMED.pack_into(self.page, 0, 1)

    def disarm(self):
        self.ARMED.pack_into(self.page, 0, 0)

    @property
    def seen(self):
        return self.LAYOUT.unpack_from(self.page)[6]

    @property
    def struck(self):
        return self.LAYOUT.unpack_from(self.page)[7]

    def where(self):
        """The source line whose call was made to fail."""
        fields = self.LAYOUT.unpack_from(self.page)
        address, name = fields[8], fields[9].rstrip(b"\0").decode()
        if not address:
            return "nowhere"
        found = subprocess.run(
            ["addr2line", "-fse", name, hex(address - 1)],
            capture_output=True, text=True).stdout.split()
        return (f"{' '.join(found)} in {os.path.basename(name)}+"
                f"{hex(address)}")


# what a refusal says when the disk takes no more (docs/full-disk.md)
FULL = re.compile(rb"<Code>AccessDenied</Code><Message>[^<]*"
                  rb"(disk|space|quota)")


class Unfit(AssertionError):
    """An answer that no fault excuses."""


class Trial:
    """Requests during a fault. It remembers for each key what may be there
    afterwards; an answer that is neither a right success nor an honest error
    nor a closed connection raises Unfit."""

    def __init__(self, client, bucket, prefix, *errors, timeout=20):
        self.client, self.bucket, self.prefix = client, bucket, prefix
        self.memory = errno.ENOMEM in errors
        self.full = bool({errno.ENOSPC, errno.EDQUOT} & set(errors))
        self.timeout = timeout
        self.may = {}
        self.outcomes = []

    def ask(self, method, key, query=(), body=b"", headers=()):
        """The answer if it is a success, None if it failed decently."""
        path = f"/{self.bucket}" + (f"/{key}" if key is not None else "")
        try:
            with self.client.connect(timeout=self.timeout) as connection:
                connection.send(self.client.build(method, path, query,
                                                  headers, body))
                answer = connection.read(method)
        except (s3raw.Closed, ConnectionError) as e:
            self.outcomes.append(f"{method} {key}: closed")
            return None
        except TimeoutError:
            raise Unfit(f"{method} {path} is not answered at all") from None
        if answer.status in (200, 204, 206) and answer.code is None:
            self.outcomes.append(f"{method} {key}: {answer.status}")
            return answer
        code = answer.code
        self.outcomes.append(f"{method} {key}: {answer.status} {code}")
        if self.full and answer.status == 403 and FULL.search(answer.body):
            return None  # the one status at which every client stops
        if code == "RequestTimeout":
            return None  # what came of the body was not all of it
        if answer.status < 500 and answer.status != 200:
            raise Unfit(f"{method} {path} answers {answer}")
        if self.memory and answer.status >= 500 and not answer.body:
            return None  # there was none for the error's text either
        if code is None and method != "HEAD":
            raise Unfit(f"{method} {path} answers an error that is not S3's: "
                        f"{answer}")
        return None

    def wrote(self, key, answer, new):
        old = self.may.get(key, {None})
        self.may[key] = {new} if answer else old | {new}

    def put(self, name, data):
        key = self.prefix + name
        self.wrote(key, self.ask("PUT", key, body=data), data)

    def delete(self, name):
        key = self.prefix + name
        self.wrote(key, self.ask("DELETE", key), None)

    def copy(self, name, source, data):
        key = self.prefix + name
        self.wrote(key, self.ask("PUT", key, headers=[
            ("x-amz-copy-source", f"/{self.bucket}/{source}")]), data)

    def get(self, key, data):
        answer = self.ask("GET", key)
        if answer and answer.body != data:
            raise Unfit(f"GET {key} gives other bytes: {len(answer.body)}, "
                        f"{answer.body[:60]!r}")

    def list(self, present):
        answer = self.ask("GET", None, [("list-type", "2"),
                                        ("prefix", present)])
        if answer and present not in [k.text for k in
                                      answer.xml().iter("Key")]:
            raise Unfit(f"{present} is not in the listing")

    def multipart(self, name, data):
        key = self.prefix + name
        self.may.setdefault(key, {None})
        answer = self.ask("POST", key, [("uploads", "")])
        if not answer:
            return
        upload = answer.xml().findtext("UploadId")
        answer = self.ask("PUT", key, [("partNumber", "1"),
                                       ("uploadId", upload)], data)
        if not answer:
            self.ask("DELETE", key, [("uploadId", upload)])
            return
        self.wrote(key, self.ask(
            "POST", key, [("uploadId", upload)],
            f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"
            f"{answer.get('ETag')}</ETag></Part></CompleteMultipartUpload>"
            .encode()), data)

    def judge(self, client):
        """Compares what is there now with what may be. Settles the keys."""
        connection = client.connect(timeout=self.timeout)
        try:
            for key, may in self.may.items():
                connection.send(client.build("GET",
                                             f"/{self.bucket}/{key}"))
                answer = connection.read("GET")
                if (answer.get("connection") or "").lower() == "close":
                    connection.close()
                    connection = client.connect(timeout=self.timeout)
                if answer.status not in (200, 404):
                    raise Unfit(f"after the fault, GET {key}: {answer}")
                found = answer.body if answer.status == 200 else None
                if found not in may:
                    raise Unfit(
                        f"{key} is {say(found)}; may be "
                        f"{[say(m) for m in may]} after {self.outcomes}")
                self.may[key] = {found}
        finally:
            connection.close()


def say(data):
    return "absent" if data is None else f"{len(data)} bytes {data[:20]!r}"


def error_name(error):
    return errno.errorcode[error] if error else "short"
