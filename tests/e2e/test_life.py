"""The life of a server: drains, kills, restarts, and what is true after each."""

import random
import threading

import botocore.exceptions

import s3raw
from conftest import client_for


def test_a_restart_keeps_everything(new_server):
    server = new_server().start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    bodies = {f"k{i}": random.Random(i).randbytes(i * i * 1000) for i in range(20)}
    for key, body in bodies.items():
        s3.put_object(Bucket="kept", Key=key, Body=b"older")
        s3.put_object(Bucket="kept", Key=key, Body=body, Metadata={"n": key}, Tagging="t=1")
    upload = s3.create_multipart_upload(Bucket="kept", Key="m")["UploadId"]
    part = s3.upload_part(Bucket="kept", Key="m", UploadId=upload, PartNumber=1, Body=b"part")
    before = s3.list_object_versions(Bucket="kept")["Versions"]
    for again in (server.restart, lambda: (server.kill(), server.start())):
        again()
        s3 = client_for(server)
        assert s3.list_object_versions(Bucket="kept")["Versions"] == before
        for key, body in bodies.items():
            got = s3.get_object(Bucket="kept", Key=key)
            assert got["Body"].read() == body and got["Metadata"] == {"n": key} and got["TagCount"] == 1
    s3.complete_multipart_upload(Bucket="kept", Key="m", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert s3.get_object(Bucket="kept", Key="m")["Body"].read() == b"part"


def test_nothing_acknowledged_is_lost_by_a_kill(new_server):
    """Writers note what was answered; the server is killed under them, several times."""
    server = new_server().start()
    client_for(server).create_bucket(Bucket="killed")
    acknowledged, attempted, lock = {}, {}, threading.Lock()

    def write(worker, stop):
        s3, source, i = client_for(server), random.Random(worker), 0
        while not stop.is_set():
            key, body = f"w{worker}/{i % 40}", source.randbytes(source.choice([10, 3000, 200_000]))
            with lock:
                attempted.setdefault(key, set()).add(body)
            try:
                s3.put_object(Bucket="killed", Key=key, Body=body)
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
                with lock:
                    acknowledged.pop(key, None)  # either body may stand now
                return
            with lock:
                acknowledged[key] = body
                attempted[key] = {body}
            i += 1

    for round_number in range(4):
        stop, done_before = threading.Event(), len(acknowledged)
        workers = [threading.Thread(target=write, args=(round_number * 10 + n, stop)) for n in range(6)]
        for w in workers:
            w.start()
        threading.Event().wait(0.7)
        server.kill()
        stop.set()
        for w in workers:
            w.join()
        assert len(acknowledged) > done_before, "no write was answered before the kill"
        server.start()
        s3 = client_for(server)
        for key, body in acknowledged.items():
            assert s3.get_object(Bucket="killed", Key=key)["Body"].read() == body, key
        for key, bodies in attempted.items():
            if key not in acknowledged:
                try:
                    got = s3.get_object(Bucket="killed", Key=key)["Body"].read()
                except s3.exceptions.NoSuchKey:
                    assert len(bodies) == 1, f"{key} had been answered before"
                    continue
                assert got in bodies, key


def test_sigterm_lets_a_running_request_finish(new_server):
    server = new_server().start()
    raw = s3raw.Client(server.address, server.host, server.access_key, server.secret_key)
    assert raw.put("/drained").status == 200
    body = b"x" * 100_000
    whole = raw.build("PUT", "/drained/k", body=body)
    with raw.connect() as c, raw.connect() as idle:
        idle.send(raw.build("GET", "/drained"))
        idle.read()
        c.send(whole[:-50_000])
        ended = []
        stopper = threading.Thread(target=lambda: ended.append(server.terminate()))
        stopper.start()
        assert idle.at_end(), "an idle connection was kept open by a drain"
        c.send(whole[-50_000:])
        assert c.read().status == 200
        stopper.join()
    assert ended == [0]
    server.start()
    assert raw.get("/drained/k").body == body


def test_a_second_server_on_the_same_data_is_refused_in_words(new_server):
    server = new_server().start()
    second = new_server(data=server.data)
    second.launch()
    assert second.process.wait(20) != 0
    second.process = None
    said = second.log()
    assert str(server.process.pid) in said, said


def test_a_client_that_vanishes_leaves_nothing(new_server):
    server = new_server().start()
    raw = s3raw.Client(server.address, server.host, server.access_key, server.secret_key)
    raw.put("/gone")
    whole = raw.build("PUT", "/gone/k", body=b"x" * 300_000)
    for cut in (*range(1, 600, 23), 1000, 70_000, len(whole) - 1):
        with raw.connect() as c:
            c.send(whole[:cut])
    assert raw.request("HEAD", "/gone/k").status == 404
    assert raw.get("/gone", query=[("uploads", "")]).xml().find("Upload") is None
    assert raw.put("/gone/k", b"x").status == 200


def test_https_and_http_serve_the_same_store(new_server):
    server = new_server(tls="self-signed").start()
    s3 = client_for(server)
    s3.create_bucket(Bucket="both")
    s3.put_object(Bucket="both", Key="k", Body=b"x" * 300_000)
    server.stop()
    server.tls = None
    server.start()
    assert client_for(server).get_object(Bucket="both", Key="k")["Body"].read() == b"x" * 300_000
