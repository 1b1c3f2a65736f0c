"""A Backup with an access key on Ceph, from `kubectl apply` to Complete."""

import json
import re

from .nightly import JOB, NAME, Nightly


def test_a_backup_runs_to_complete(nightly: Nightly) -> None:
    cluster = nightly.cluster
    assert "Scheduled" == cluster.apply(NAME, nightly.spec())["status"]["phase"]
    pod = cluster.node.run(JOB)
    result = pod.end().expect(0)
    cluster.wait_for_job(JOB, "Complete")

    names = {key.removeprefix(f"{result.directory}/") for key in nightly.objects()}
    assert {"backup.json", "manifest.jsonl.gz", "metadata"} < names
    assert any(name.startswith(f"{nightly.schema}.orders.") for name in names)
    result.assert_clean_bucket(nightly.store.client(), nightly.bucket)

    columns = cluster.columns(NAME)
    assert "snapshot" == columns["MODE"]
    assert "Complete" == columns["STATUS"]
    assert result.summary["backup"] == columns["BACKUPPATH"]
    assert result.summary["snapshot"]["tso"] == columns["COMMITTS"]
    assert re.fullmatch(r"\d+ B|\d.* kB", columns["BACKUPSIZE"]), columns
    for name in ("STARTED", "COMPLETED", "TIMETAKEN"):
        assert re.fullmatch(r"\d+s", columns[name]), columns
    assert ["Scheduled", "Prepare", "Running", "Complete"] == nightly.kinds()
    assert result.summary == json.loads(pod.container.message)
    assert {"Started", "Complete"} <= cluster.events(NAME).keys()
