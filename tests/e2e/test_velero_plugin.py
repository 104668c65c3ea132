"""Velero's persistence and its AWS plugin themselves, as a cluster runs them (test_velero.py has older plugins' calls)."""

import pytest

from conftest import bucket_name, client_for
from goclients import Velero


@pytest.mark.timeout(1300)
@pytest.mark.parametrize("options", [{}, {"checksum": "CRC32"}, {"checksum": ""}], ids=["default", "CRC32", "unset"])
def test_a_backup_lives_its_whole_life(any_server, tmp_path, options):
    bucket = bucket_name()
    client_for(any_server).create_bucket(Bucket=bucket)
    velero = Velero(any_server, tmp_path, bucket, "cluster", **options)
    velero("valid")
    assert velero("list") == []
    for name in ("nightly-1", "nightly-2"):
        velero("put", name)
    assert velero("verify", "nightly-1") == ["WaitingForPluginOperations"]
    velero("finish", "nightly-1")
    assert velero("verify", "nightly-1") == ["Completed"]
    if not any_server.ca:
        velero("download", "nightly-1")
    velero("restored", "nightly-1")
    velero("valid")
    assert velero("list") == ["nightly-1", "nightly-2"]
    velero("delete", "nightly-2")
    assert velero("list") == ["nightly-1"]
    assert not [o for o in client_for(any_server).list_objects_v2(Bucket=bucket, Prefix="cluster/backups/nightly-2/").get("Contents", [])]
