"""kopia itself: its own conformance test of a store, and a repository's whole life."""

import pytest

import harness
from conftest import bucket_name, client_for
from goclients import Kopia


@pytest.fixture
def kopia(any_server, tmp_path):
    bucket = bucket_name()
    client_for(any_server).create_bucket(Bucket=bucket)
    return Kopia(any_server, tmp_path / "kopia", bucket)


def tree(root, seed):
    for i in range(40):
        harness.write_random(root / f"d{i % 5}" / f"small-{i}", 100 + 997 * i, seed)
    harness.write_random(root / "large", 24 << 20, seed)
    (root / "empty").write_bytes(b"")
    (root / "ünïcode name").write_text("x")
    return root


@pytest.mark.timeout(1300)
def test_it_takes_the_store_for_a_valid_provider(kopia):
    kopia.create()
    kopia("repository", "validate-provider", "--concurrency-test-duration=2s", "--num-storage-connections=4")


@pytest.mark.timeout(1300)
def test_a_repository_lives_its_whole_life(kopia, tmp_path):
    source = tree(tmp_path / "source", 1)
    kopia.create()
    kopia("snapshot", "create", source)
    tree(source / "more", 2)
    kopia("snapshot", "create", source)
    assert len(kopia.snapshots()) == 2
    kopia.verify()
    first, second = kopia.snapshots()
    kopia("snapshot", "delete", first, "--delete")
    kopia.maintain()
    kopia.verify()
    kopia("snapshot", "restore", second, tmp_path / "back")
    assert harness.same_tree(source, tmp_path / "back") is None
