"""boto3: versioning enabled and suspended, delete markers, and what each operation means for one version."""

import botocore.exceptions
import pytest

from test_boto3_objects import refused


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def suspend(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})


def history(s3, bucket, key):
    """[(version id, is latest, kind)] of one key, newest first, as a listing tells it."""
    page = s3.list_object_versions(Bucket=bucket, Prefix=key)
    assert not page["IsTruncated"]
    rows = [(v["LastModified"], v["VersionId"], v["IsLatest"], "put") for v in page.get("Versions", []) if v["Key"] == key]
    rows += [(m["LastModified"], m["VersionId"], m["IsLatest"], "mark") for m in page.get("DeleteMarkers", []) if m["Key"] == key]
    assert sum(r[2] for r in rows) == (1 if rows else 0)
    return {r[1]: (r[2], r[3]) for r in rows}


def test_versioning_is_told_as_it_was_set(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    for status in ("Enabled", "Suspended", "Enabled"):
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status


def test_every_version_is_kept_and_read_by_its_id(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="k", Body=str(i).encode())["VersionId"] for i in range(5)]
    assert len(set(ids)) == 5 and "null" not in ids
    for i, version in enumerate(ids):
        got = s3.get_object(Bucket=versioned, Key="k", VersionId=version)
        assert got["Body"].read() == str(i).encode() and got["VersionId"] == version
        assert s3.head_object(Bucket=versioned, Key="k", VersionId=version)["VersionId"] == version
    newest = s3.get_object(Bucket=versioned, Key="k")
    assert newest["Body"].read() == b"4" and newest["VersionId"] == ids[4]
    page = s3.list_object_versions(Bucket=versioned)
    assert [v["VersionId"] for v in page["Versions"]] == ids[::-1]
    assert [v["IsLatest"] for v in page["Versions"]] == [True, False, False, False, False]


def test_a_delete_hides_and_can_be_taken_back(s3, versioned):
    version = s3.put_object(Bucket=versioned, Key="k", Body=b"x")["VersionId"]
    gone = s3.delete_object(Bucket=versioned, Key="k")
    assert gone["DeleteMarker"] is True
    answer = refused(404, "NoSuchKey", s3.get_object, Bucket=versioned, Key="k")
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-version-id"] == gone["VersionId"]
    refused(404, "404", s3.head_object, Bucket=versioned, Key="k")
    answer = refused(405, "MethodNotAllowed", s3.get_object, Bucket=versioned, Key="k", VersionId=gone["VersionId"])
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    assert s3.get_object(Bucket=versioned, Key="k", VersionId=version)["Body"].read() == b"x"
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    assert history(s3, versioned, "k") == {gone["VersionId"]: (True, "mark"), version: (False, "put")}
    back = s3.delete_object(Bucket=versioned, Key="k", VersionId=gone["VersionId"])
    assert back["DeleteMarker"] is True and back["VersionId"] == gone["VersionId"]
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"x"


def test_deleting_a_missing_key_leaves_a_marker(s3, versioned):
    gone = s3.delete_object(Bucket=versioned, Key="never")
    assert gone["DeleteMarker"] is True
    assert history(s3, versioned, "never") == {gone["VersionId"]: (True, "mark")}


def test_deleting_the_newest_version_uncovers_the_one_before(s3, versioned):
    ids = [s3.put_object(Bucket=versioned, Key="k", Body=str(i).encode())["VersionId"] for i in range(3)]
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[2])
    assert s3.get_object(Bucket=versioned, Key="k")["VersionId"] == ids[1]
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[0])
    assert history(s3, versioned, "k") == {ids[1]: (True, "put")}
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[1])
    assert history(s3, versioned, "k") == {}
    refused(404, "NoSuchKey", s3.get_object, Bucket=versioned, Key="k")
    s3.delete_bucket(Bucket=versioned)


def test_a_version_that_is_not_there(s3, versioned):
    version = s3.put_object(Bucket=versioned, Key="k", Body=b"x")["VersionId"]
    s3.delete_object(Bucket=versioned, Key="k", VersionId=version)
    refused(404, "NoSuchVersion", s3.get_object, Bucket=versioned, Key="k", VersionId=version)
    refused(400, "InvalidArgument", s3.get_object, Bucket=versioned, Key="k", VersionId="no id of ours")
    assert s3.delete_object(Bucket=versioned, Key="k", VersionId=version)["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_what_was_there_before_versioning_is_the_null_version(s3, bucket):
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"old")
    assert s3.list_object_versions(Bucket=bucket)["Versions"][0]["VersionId"] == "null"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    new = s3.put_object(Bucket=bucket, Key="k", Body=b"new")["VersionId"]
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"old"
    assert history(s3, bucket, "k") == {new: (True, "put"), "null": (False, "put")}
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert history(s3, bucket, "k") == {new: (True, "put")}


def test_while_suspended_the_null_version_is_replaced_and_the_others_stay(s3, versioned):
    kept = s3.put_object(Bucket=versioned, Key="k", Body=b"kept")["VersionId"]
    suspend(s3, versioned)
    for body in (b"one", b"two"):
        s3.put_object(Bucket=versioned, Key="k", Body=body)
        assert history(s3, versioned, "k") == {"null": (True, "put"), kept: (False, "put")}
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"two"
    gone = s3.delete_object(Bucket=versioned, Key="k")
    assert gone["DeleteMarker"] is True and gone["VersionId"] == "null"
    assert history(s3, versioned, "k") == {"null": (True, "mark"), kept: (False, "put")}
    refused(404, "NoSuchKey", s3.get_object, Bucket=versioned, Key="k")
    s3.put_object(Bucket=versioned, Key="k", Body=b"three")
    assert history(s3, versioned, "k") == {"null": (True, "put"), kept: (False, "put")}
    s3.delete_object(Bucket=versioned, Key="k", VersionId="null")
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"kept"


def test_a_bulk_delete_of_versions_and_keys(s3, versioned):
    one = s3.put_object(Bucket=versioned, Key="a", Body=b"1")["VersionId"]
    two = s3.put_object(Bucket=versioned, Key="a", Body=b"2")["VersionId"]
    s3.put_object(Bucket=versioned, Key="b", Body=b"b")
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [
        {"Key": "a", "VersionId": two}, {"Key": "b"}, {"Key": "none"}]})
    told = {d["Key"]: d for d in answer["Deleted"]}
    assert told["a"]["VersionId"] == two and "DeleteMarkerVersionId" not in told["a"]
    assert told["b"]["DeleteMarker"] is True and told["none"]["DeleteMarkerVersionId"]
    assert history(s3, versioned, "a") == {one: (True, "put")}
    assert history(s3, versioned, "b")[told["b"]["DeleteMarkerVersionId"]] == (True, "mark")


def test_a_bucket_with_only_old_versions_is_not_empty(s3, versioned):
    version = s3.put_object(Bucket=versioned, Key="k", Body=b"x")["VersionId"]
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    refused(409, "BucketNotEmpty", s3.delete_bucket, Bucket=versioned)
    s3.delete_object(Bucket=versioned, Key="k", VersionId=version)
    refused(409, "BucketNotEmpty", s3.delete_bucket, Bucket=versioned)
    s3.delete_object(Bucket=versioned, Key="k", VersionId=marker)
    s3.delete_bucket(Bucket=versioned)


def test_an_old_version_is_copied_back_on_top(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"old", Metadata={"v": "1"})["VersionId"]
    s3.put_object(Bucket=versioned, Key="k", Body=b"new")
    copied = s3.copy_object(Bucket=versioned, Key="k", CopySource={"Bucket": versioned, "Key": "k", "VersionId": old})
    assert copied["CopySourceVersionId"] == old and copied["VersionId"] != old
    got = s3.get_object(Bucket=versioned, Key="k")
    assert got["Body"].read() == b"old" and got["Metadata"] == {"v": "1"} and got["VersionId"] == copied["VersionId"]


def test_tags_belong_to_a_version(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"1", Tagging="v=1")["VersionId"]
    new = s3.put_object(Bucket=versioned, Key="k", Body=b"2", Tagging="v=2")["VersionId"]
    assert s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=old)["TagSet"] == [{"Key": "v", "Value": "1"}]
    s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=old, Tagging={"TagSet": [{"Key": "w", "Value": ""}]})
    assert s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"] == [{"Key": "v", "Value": "2"}]
    assert s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=old)["TagSet"] == [{"Key": "w", "Value": ""}]
    s3.delete_object_tagging(Bucket=versioned, Key="k", VersionId=new)
    assert s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"] == []
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=marker)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 405)


def test_put_only_if_absent_takes_a_marker_for_absence(s3, versioned):
    s3.put_object(Bucket=versioned, Key="k", Body=b"1")
    refused(412, "PreconditionFailed", s3.put_object, Bucket=versioned, Key="k", Body=b"2", IfNoneMatch="*")
    s3.delete_object(Bucket=versioned, Key="k")
    s3.put_object(Bucket=versioned, Key="k", Body=b"3", IfNoneMatch="*")
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"3"


def test_versions_are_listed_in_pages_of_every_size(s3, versioned):
    expected = []
    for key in ("a", "b/1", "b/2", "c"):
        ids = []
        for body in (b"1", b"2"):
            ids.insert(0, s3.put_object(Bucket=versioned, Key=key, Body=body)["VersionId"])
        if key != "c":
            ids.insert(0, s3.delete_object(Bucket=versioned, Key=key)["VersionId"])
        expected += [(key, i) for i in ids]
    for size in range(1, len(expected) + 2):
        seen, markers = [], {}
        while True:
            page = s3.list_object_versions(Bucket=versioned, MaxKeys=size, **markers)
            both = page.get("Versions", []) + page.get("DeleteMarkers", [])
            assert len(both) <= size
            place = {pair: n for n, pair in enumerate(expected)}
            seen += sorted(((v["Key"], v["VersionId"]) for v in both), key=place.get)
            if not page["IsTruncated"]:
                break
            markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
        assert seen == expected, size
    page = s3.list_object_versions(Bucket=versioned, Delimiter="/")
    assert [p["Prefix"] for p in page["CommonPrefixes"]] == ["b/"]
    assert [v["Key"] for v in page["Versions"]] == ["a", "a", "c", "c"]
    page = s3.list_object_versions(Bucket=versioned, KeyMarker="a")
    assert {v["Key"] for v in page["Versions"]} == {"b/1", "b/2", "c"}
    page = s3.list_object_versions(Bucket=versioned, Prefix="b/2")
    assert {v["Key"] for v in page["Versions"]} == {"b/2"}
