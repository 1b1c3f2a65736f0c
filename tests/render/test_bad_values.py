"""Values that no backup could be made with: each is refused here, and not by the Pod."""

import pytest

from .rendering import BACKUP, SCHEDULE, changed, remedy, render, spec, told

S3 = "    secretName: s3-secret\n"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("5 fields", "has 2 fields"),
        ("* * * * * *", "has 6 fields"),
        ("60 * * * *", "that goes from 0 to 59"),
        ("*/0 * * * *", "no step above zero"),
        ("@reboot", "is none of @yearly"),
        ("@every 3d", "is no duration"),
        ("TZ=UTC 0 2 * * *", "a time zone has a field of its own: spec.timeZone"),
    ],
)
def test_a_schedule_that_is_no_cron_expression(value: str, why: str) -> None:
    text = changed(SCHEDULE, "0 2 * * *", value)
    assert told(text).startswith("line 7: spec.schedule is wrong: ")
    assert why in told(text)
    assert 'give one such as "0 2 * * *"' in remedy(text)


@pytest.mark.parametrize("line", ["", "  schedule:\n", '  schedule: ""\n'])
def test_no_schedule(line: str) -> None:
    text = changed(SCHEDULE, '  schedule: "0 2 * * *"\n', line)
    assert told(text).endswith("there is no spec.schedule")
    assert told(text).startswith("line 7" if line else "line 6")


@pytest.mark.parametrize("value", ["3", "3d", "-3h", "0", "0s", "1ns", "3 h", "", "10000000h"])
def test_a_time_to_keep_backups_that_is_no_duration(value: str) -> None:
    text = changed(SCHEDULE, '"72h"', f'"{value}"')
    assert told(text).startswith(f"line 8: spec.maxReservedTime is wrong: '{value}' is no ")
    assert "give a duration such as 72h" in remedy(text)


@pytest.mark.parametrize("value", ["-3", "99999999999"])
def test_a_number_of_backups_that_is_none(value: str) -> None:
    text = changed(SCHEDULE, 'maxReservedTime: "72h"', f"maxBackups: {value}")
    assert f"line 8: spec.maxBackups is wrong: '{value}' is no number of backups" == told(text)


@pytest.mark.parametrize("value", ["Local", "local", "", "../x", "Mars/x y", "/etc/passwd"])
def test_a_time_zone_that_is_none(value: str) -> None:
    text = changed(SCHEDULE, "spec:\n", f'spec:\n  timeZone: "{value}"\n')
    assert f"line 7: spec.timeZone is no time zone: {value!r}" == told(text)


SIZES = [
    *("10GB", "10 Gi", "10gi", "0", "0Gi", "-1Gi", "1e3 ", "10m", "1e-3", "1n", "0x10", "1K", "Gi"),
    *(".", "1e", "1e+", "1.2.3", "٣Gi", "1Gi\\n", "NaN", "inf"),
]


@pytest.mark.parametrize("value", SIZES)
@pytest.mark.parametrize("text", [BACKUP, SCHEDULE])
def test_a_size_that_is_no_quantity(text: str, value: str) -> None:
    path = "spec" if text == BACKUP else "spec.backupTemplate"
    found = told(changed(text, "10Gi", f'"{value}"'))
    assert f"line {len(text.splitlines())}: {path}.storageSize is no quantity: " in found


@pytest.mark.parametrize(
    "value",
    ["10737418240", "10G", "1.5Gi", "1e3", "1E3", "5242880.", ".5Gi", "+1Gi", "1Ei", "1k", "010Gi"],
)
def test_a_size_is_handed_on_as_it_is(value: str) -> None:
    claim = render(changed(BACKUP, "10Gi", f'"{value}"')).one("PersistentVolumeClaim")
    assert value == claim["spec"]["resources"]["requests"]["storage"]


@pytest.mark.parametrize("value", ["10", "1048575", "5."])
def test_a_size_without_its_unit(value: str) -> None:
    found = told(changed(BACKUP, "10Gi", f'"{value}"'))
    assert f"spec.storageSize is a volume of {value} bytes" in found


def test_the_schedules_own_size_is_checked_where_the_template_has_none() -> None:
    text = changed(SCHEDULE, "    storageSize: 10Gi\n", "")
    text = changed(text, "spec:\n", "spec:\n  storageSize: 1TB\n")
    assert "line 7: spec.storageSize is no quantity: '1TB'" == told(text)


# What to back up, and where to -------------------------------------------------------------


FROM = "from:\n    host: tidb\n    port: 4000\n    user: root\n    secretName: tidb-secret\n"
STORE = "s3:\n    provider: aws\n    region: eu-central-1\n    bucket: backups\n" + S3


@pytest.mark.parametrize("instead", ["", "  from:\n", "  from: {}\n", "  from: {host: ''}\n"])
@pytest.mark.parametrize(("text", "path"), [(BACKUP, "spec"), (SCHEDULE, "spec.backupTemplate")])
def test_nothing_to_back_up(text: str, path: str, instead: str) -> None:
    more = "  " if text == SCHEDULE else ""
    block = "".join(f"{more}{line}\n" for line in f"  {FROM}".splitlines())
    found = told(changed(text, block, f"{more}{instead}" if instead else ""))
    assert found.endswith(f"there is no {path}.from.host: it does not say what to back up")


@pytest.mark.parametrize("instead", ["", "  s3:\n", "  s3: {}\n"])
def test_no_store(instead: str) -> None:
    text = changed(BACKUP, f"  {STORE}", instead)
    assert told(text).endswith("there is no spec.s3")
    assert "give it, with provider, bucket and secretName" == remedy(text)


@pytest.mark.parametrize("bucket", ["", "    bucket:\n", "    bucket: ''\n"])
@pytest.mark.parametrize(("text", "path"), [(BACKUP, "spec"), (SCHEDULE, "spec.backupTemplate")])
def test_no_bucket(text: str, path: str, bucket: str) -> None:
    more = "  " if text == SCHEDULE else ""
    found = told(changed(text, f"{more}    bucket: backups\n", f"{more}{bucket}" if bucket else ""))
    assert found.endswith(f"there is no {path}.s3.bucket")


def test_another_store() -> None:
    made = render(changed(BACKUP, f"  {STORE}", "  gcs: {bucket: x}\n"))
    assert ["stdin, line 12: spec.gcs is ignored: backups go to spec.s3 alone"] == made.warnings
    (error,) = made.errors
    assert error.startswith(
        "stdin, line 6: there is no spec.s3: gcs is no S3-compatible store. To do: give"
    )


def test_no_password() -> None:
    text = changed(BACKUP, "    secretName: tidb-secret\n", "")
    assert "line 7: there is no spec.from.secretName" == told(text)
    with_variable = spec("env: [{name: BACKUP_MANAGER_PASSWORD, value: ''}]", text)
    assert 0 == render(with_variable).exit_code


def test_a_backup_with_br() -> None:
    text = changed(spec("br: {cluster: demo1}"), f"  {FROM}", "")
    (error,) = render(text).errors
    assert "this is a backup by BR" in error
    assert "leave it out; or, for a logical backup, give spec.from" in error
    assert told(spec("backupMode: log")).startswith("line 18: backupMode log is for BR")


@pytest.mark.parametrize(
    ("field", "line", "expected"),
    [
        ("bucket: s3://x/y", 15, "spec.s3.bucket is wrong: 's3://x/y' is no name of a bucket"),
        ("provider: amazon", 13, "spec.s3.provider is wrong: 'amazon' is no provider that is "),
        ("region: a b", 14, "spec.s3.region is wrong: 'a b' is no region"),
    ],
)
def test_a_setting_of_the_store_that_is_wrong(field: str, line: int, expected: str) -> None:
    key = field.split(":", maxsplit=1)[0]
    old = {
        "bucket": "bucket: backups",
        "provider": "provider: aws",
        "region": "region: eu-central-1",
    }
    found = told(changed(BACKUP, old[key], field))
    assert found.startswith(f"line {line}: {expected}")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("endpoint: rgw/x?y", "spec.s3.endpoint is wrong: 'rgw/x?y' has a path or a query"),
        ("endpoint: http://a:b@rgw", "spec.s3.endpoint is wrong: an endpoint holds no credentials"),
        ("prefix: a/../b", "spec.s3.prefix is wrong: 'a/../b' has a part '.' or '..'"),
        ("acl: a b", "spec.s3.acl is wrong: 'a b' is no plain word"),
        ("sse: foo", "spec.s3.sse is wrong: 'foo' is no encryption of S3"),
        ("options: [--foo=1]", "--s3-option=--foo is unknown to backup-manager"),
    ],
)
def test_more_of_the_store_that_is_wrong(field: str, expected: str) -> None:
    found = told(changed(BACKUP, S3, f"{S3}    {field}\n"))
    assert found.startswith(f"line 17: {expected}")


@pytest.mark.parametrize(
    ("field", "line", "expected"),
    [
        ("tikvGCLifeTime: 3d", 18, "spec.tikvGCLifeTime: '3d' is no duration"),
        ("tikvGCLifeTime: 1s", 18, "spec.tikvGCLifeTime: 1s is outside of TiDB's bounds"),
        ("tableFilter:\n- a.b\n- nothing", 20, "table filter rule 'nothing' is wrong"),
        ("dumpling:\n  tableFilter: [x]", 19, "table filter rule 'x' is wrong"),
        ("dumpling:\n  options: [--output=/x]", 19, "Dumpling option --output belongs to"),
        ("dumpling:\n  options: [--host=x]", 19, "Dumpling option --host belongs to"),
    ],
)
def test_what_dumpling_would_not_be_given(field: str, line: int, expected: str) -> None:
    found = told(spec(field))
    assert found.startswith(f"line {line}: {expected}")


def test_a_port_that_is_none() -> None:
    for port in ("-1", "65536", "9" * 50):
        found = told(changed(BACKUP, "4000", port))
        assert f"line 9: spec.from.port is wrong: '{port}' is no port" == found


@pytest.mark.parametrize(
    "host", ["tidb:4000", "tcp://tidb", "<tidb-host>", "{{ .Values.host }}", "a b", "tidb/x", "t:"]
)
def test_what_is_no_name_of_a_host(host: str) -> None:
    found = told(changed(BACKUP, "host: tidb", f"host: '{host}'"))
    assert f"spec.from.host is no name of a host: {host!r}" in found


@pytest.mark.parametrize("host", ["::1", "[::1]", "10.0.0.1", "demo1-tidb.test1.svc", "demo_1"])
def test_a_host_is_handed_on_as_it_is(host: str) -> None:
    assert f"--host={host}" in render(changed(BACKUP, "host: tidb", f"host: '{host}'")).args


def test_a_provider_that_has_no_one_place() -> None:
    text = changed(BACKUP, "provider: aws", "provider: ceph")
    assert "there is no spec.s3.endpoint, and ceph has no one place" in told(text)
    named = changed(text, "provider: ceph", "provider: ceph\n    options: [--s3-endpoint=http://x]")
    assert 0 == render(named).exit_code
    given = "env:\n  - name: S3_ENDPOINT\n    value: http://x"
    assert 0 == render(f"{text}  {given}\n").exit_code


@pytest.mark.parametrize("word", ["--fast", "--s3-foo=1", "no option"])
def test_an_option_of_rclone_that_is_refused(word: str) -> None:
    options = f"options: [--transfers, '8', '{word}']"
    found = told(changed(BACKUP, "    bucket", f"    {options}\n    bucket"))
    assert "line 15: --s3-option=" in found


def test_an_option_of_dumpling_that_may_be_misspelt() -> None:
    made = render(spec("dumpling: {options: [--thread=8, --new-one=2]}"))
    (warning,) = made.warnings
    assert "--thread is no option of every Dumpling: is --threads meant?" in warning
    assert {"--dumpling-option=--thread=8", "--dumpling-option=--new-one=2"} < set(made.args)


def test_root_where_no_root_is_allowed() -> None:
    found = told(spec("podSecurityContext: {runAsUser: 0}"))
    assert "spec.podSecurityContext.runAsUser is 0, and no root is allowed" in found
    (warning,) = render(spec("podSecurityContext: {runAsUser: 0, runAsNonRoot: false}")).warnings
    assert "the Pod runs as root" in warning


def test_fields_of_pods_and_jobs() -> None:
    assert "name the nodes by spec.affinity" == remedy(spec("nodeSelector: {a: b}"))
    assert "give the image with --image" == remedy(spec("image: x"))
