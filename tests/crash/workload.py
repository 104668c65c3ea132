"""The mixed workload of the crash test: boto3 clients that note each request's
intent and each success in the recorder's log."""

import base64
import hashlib
import itertools
import random
import threading

import boto3
import botocore.config
import botocore.exceptions

from promises import body, register, value

SMALL = (0, 1, 100, 2000, 5000, 20000)
LARGE = (300 * 1024, 300 * 1024 + 77, 512 * 1024, 700001)
PART = 5 << 20
PLAIN, VERSIONED = "plain", "versioned"
ODD_KEYS = ("a//b", "..", "./x", "long/" + "k" * 700, "sp ace+plus%41",
            "caf\u00e9/\u4e2d", "z/")


class Gone(Exception):
    """The server went away under the client."""


class Notes:
    """Numbers requests and notes them; shared by all clients."""

    def __init__(self, marker):
        self.marker = marker
        self.numbers = itertools.count(1)

    def number(self):
        return next(self.numbers)

    def request(self, number, sets, call, learn=lambda answer: ()):
        """Calls; the answer, or None if the server refused. LEARN gives what
        else the answer tells that it has set."""
        self.marker.mark(op=number, sets=list(sets))
        try:
            answer = call()
        except botocore.exceptions.ClientError as e:
            status = e.response["ResponseMetadata"]["HTTPStatusCode"]
            if status < 400 or status >= 500:
                raise
            self.marker.mark(refused=number)
            return None
        except botocore.exceptions.BotoCoreError as e:
            raise Gone from e
        self.marker.mark(ack=number, sets=list(learn(answer)))
        return answer


class Client(threading.Thread):
    """One client with keys of its own, and some that all share."""

    def __init__(self, name, server, notes, rounds):
        super().__init__(name=name)
        self.prefix, self.notes, self.rounds = name, notes, rounds
        self.rng = random.Random(name)
        self.failure = None
        self.s3 = boto3.client(
            "s3", endpoint_url=server.endpoint, region_name="us-east-1",
            aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key,
            config=botocore.config.Config(
                s3={"addressing_style": "path"},
                retries={"total_max_attempts": 1}))

    def run(self):
        try:
            for n in range(self.rounds):
                self.round(n)
        except Gone:
            pass
        except BaseException as e:
            self.failure = e

    def size(self):
        return self.rng.choice(SMALL + LARGE if self.rng.random() < 0.5
                               else SMALL)

    def put(self, bucket, key, size, sets=True, tags=None, **how):
        n = self.notes.number()
        if tags:
            how["Tagging"] = "&".join("=".join(t) for t in tags.items())
        what = value((n, size), tags=tags)
        answer = self.notes.request(
            n, [(register("object", bucket, key), what)] if sets else [],
            lambda: self.s3.put_object(Bucket=bucket, Key=key,
                                       Body=body(n, size), **how),
            lambda a: self.version(bucket, key, a, what))
        return answer, what

    def delete(self, bucket, key):
        return self.notes.request(
            self.notes.number(), [(register("object", bucket, key), None)],
            lambda: self.s3.delete_object(Bucket=bucket, Key=key),
            lambda a: self.version(bucket, key, a, "marker"))

    @staticmethod
    def version(bucket, key, answer, what):
        if bucket == VERSIONED:
            return [(register("version", bucket, key, answer["VersionId"]),
                     what)]
        return []

    def create_bucket(self, name):
        return self.notes.request(
            self.notes.number(), [(register("bucket", name), "there")],
            lambda: self.s3.create_bucket(Bucket=name))

    def delete_bucket(self, name):
        return self.notes.request(
            self.notes.number(),
            [(register("bucket", name), None),
             (register("buckettags", name), None)],
            lambda: self.s3.delete_bucket(Bucket=name))


def must(answer):
    assert answer is not None, "refused what is right"
    return answer


def must_not(answer):
    assert answer is None, "accepted what is wrong"


class Objects(Client):
    """Puts, overwrites and deletes; some on keys that others write too; some
    that the server must refuse."""

    barrier = None

    def meet(self):
        try:
            self.barrier.wait(1)
        except threading.BrokenBarrierError:
            pass  # the other one is done, or gone

    def round(self, n):
        key = f"{self.prefix}/{self.rng.randint(0, 7)}"
        if n % 5 == 4:
            key = self.rng.choice(ODD_KEYS)
        elif n % 5 in (1, 3):
            key = f"shared/{self.rng.randint(0, 3)}"
        if self.rng.random() < 0.25:
            self.delete(PLAIN, key)
        else:
            must(self.put(PLAIN, key, self.size())[0])
        if n % 8 == 7:
            must_not(self.put(PLAIN, f"{self.prefix}/refused{n}", self.size(),
                              ContentMD5=base64.b64encode(bytes(16)).decode())
                     [0])
            must_not(self.put(PLAIN, "constant/0", self.size(),
                              IfNoneMatch="*")[0])
        if n % 4 == 2:
            # two clients at once: what the loser sent was on the disk already
            self.meet()
            self.put(PLAIN, f"race/{self.name[:-1]}{n}", LARGE[n % 3],
                     IfNoneMatch="*")
        if n % 8 == 3:
            keys = [f"{self.prefix}/{i}" for i in range(0, 8, 2)]
            must(self.notes.request(
                self.notes.number(),
                [(register("object", PLAIN, k), None) for k in keys],
                lambda: self.s3.delete_objects(
                    Bucket=PLAIN,
                    Delete={"Objects": [{"Key": k} for k in keys]})))


class Uploads(Client):
    """Multipart: parts sent again, completed, aborted, left open."""

    def create(self, key):
        made = must(self.notes.request(
            self.notes.number(),
            [(register("upload", PLAIN, key, "unknown"), "open")],
            lambda: self.s3.create_multipart_upload(Bucket=PLAIN, Key=key),
            lambda a: [(register("upload", PLAIN, key, a["UploadId"]),
                        "open")]))
        return made["UploadId"]

    def part(self, key, upload, number, size):
        n = self.notes.number()
        answer = must(self.notes.request(
            n, [(register("part", PLAIN, key, upload, number), [n, size])],
            lambda: self.s3.upload_part(
                Bucket=PLAIN, Key=key, UploadId=upload, PartNumber=number,
                Body=body(n, size))))
        return {"PartNumber": number, "ETag": answer["ETag"]}, (n, size)

    def complete(self, key, upload, parts, whole):
        return self.notes.request(
            self.notes.number(),
            [(register("object", PLAIN, key), value(*whole)),
             (register("upload", PLAIN, key, upload), None)],
            lambda: self.s3.complete_multipart_upload(
                Bucket=PLAIN, Key=key, UploadId=upload,
                MultipartUpload={"Parts": parts}))

    def abort(self, key, upload):
        return self.notes.request(
            self.notes.number(),
            [(register("upload", PLAIN, key, upload), None)],
            lambda: self.s3.abort_multipart_upload(Bucket=PLAIN, Key=key,
                                                   UploadId=upload))

    def round(self, n):
        key = f"{self.prefix}/multi{n % 3}"
        upload = self.create(key)
        big = PART if n == 1 else None
        parts, whole = [], []
        for number in ((1, 2) if big else (3,)):
            size = big if number == 1 else self.rng.choice(LARGE + SMALL[2:])
            if self.rng.random() < 0.7:
                self.part(key, upload, number, size)
            part, made = self.part(key, upload, number, size)
            parts.append(part)
            whole.append(made)
        fate = n % 4
        if fate == 2:
            must(self.abort(key, upload))
        elif fate != 3 or n == 1:
            wrong = [dict(parts[0], ETag='"%s"' % hashlib.md5().hexdigest())]
            must_not(self.complete(key, upload, wrong, whole[:1]))
            must(self.complete(key, upload, parts, whole))


class Versions(Client):
    """A versioned bucket: versions, markers, and old versions deleted."""

    def round(self, n):
        key = f"{self.prefix}/{n % 3}"
        answer, _ = self.put(VERSIONED, key, self.size())
        first = must(answer)["VersionId"]
        if n % 3 == 1:
            must(self.delete(VERSIONED, key))
        must(self.put(VERSIONED, key, self.size())[0])
        if n % 2 == 1:
            must(self.notes.request(
                self.notes.number(),
                [(register("version", VERSIONED, key, first), None)],
                lambda: self.s3.delete_object(Bucket=VERSIONED, Key=key,
                                              VersionId=first)))


class Others(Client):
    """Copies, tags, buckets."""

    def round(self, n):
        key = f"{self.prefix}/copy{n % 4}"
        source = n % 3
        must(self.notes.request(
            self.notes.number(),
            [(register("object", PLAIN, key), CONSTANT[source])],
            lambda: self.s3.copy_object(
                Bucket=PLAIN, Key=key,
                CopySource={"Bucket": PLAIN, "Key": f"constant/{source}"})))
        key = f"{self.prefix}/tagged{n % 3}"
        answer, what = self.put(PLAIN, key, self.size(),
                                tags={"round": str(n)})
        must(answer)
        tags = {"again": str(n), "more": "x" * 100}
        must(self.notes.request(
            self.notes.number(),
            [(register("object", PLAIN, key), dict(what, tags=tags))],
            lambda: self.s3.put_object_tagging(
                Bucket=PLAIN, Key=key, Tagging=tag_set(tags))))
        bucket = f"{self.prefix}-{n % 2}"
        must(self.create_bucket(bucket))
        tags = {"bucket": str(n)}
        must(self.notes.request(
            self.notes.number(), [(register("buckettags", bucket), tags)],
            lambda: self.s3.put_bucket_tagging(Bucket=bucket,
                                               Tagging=tag_set(tags))))
        must(self.put(bucket, "only", self.rng.choice((50, 300 * 1024)))[0])
        must_not(self.delete_bucket(bucket))
        must(self.delete(bucket, "only"))
        must(self.delete_bucket(bucket))


CONSTANT = {}


def tag_set(tags):
    return {"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]}


def prepare(server, notes):
    """What the clients expect to be there."""
    client = Client("prepare", server, notes, 0)
    must(client.create_bucket(PLAIN))
    must(client.create_bucket(VERSIONED))
    client.s3.put_bucket_versioning(
        Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
    for i, size in enumerate((10, 4000, 400 * 1024)):
        answer, CONSTANT[i] = client.put(PLAIN, f"constant/{i}", size)
        must(answer)


def clients(name, server, notes, rounds):
    """One of each kind, two of the busiest; not yet started."""
    pair = [Objects(f"{name}a", server, notes, 4 * rounds),
            Objects(f"{name}b", server, notes, 4 * rounds)]
    pair[0].barrier = pair[1].barrier = threading.Barrier(2)
    return [*pair,
            Uploads(f"{name}u", server, notes, rounds),
            Versions(f"{name}v", server, notes, rounds),
            Others(f"{name}o", server, notes, rounds)]
