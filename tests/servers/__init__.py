"""Real servers for tests, the demo and the benchmarks, on loopback only."""

from .ceph import KMS_KEY_ID, Ceph
from .certificates import Certificates
from .gateway import Gateway, Quirk, Received
from .golang import find_go
from .mariadb import MariaDB
from .ports import free_port
from .process import Process, ServerError, missing, program, wait_until
from .rclone import Rclone
from .s3 import S3Server
from .seaweedfs import SeaweedFS
from .signatures import Account
from .sql import GC_COMMENT, GC_NAME, GC_VALUE, SEED_GRANTS, Database
from .tidb import ExternalTiDB, database, external_tidb, second_database
from .toxiproxy import Line, Toxiproxy

__all__ = [
    "GC_COMMENT",
    "GC_NAME",
    "GC_VALUE",
    "KMS_KEY_ID",
    "SEED_GRANTS",
    "Account",
    "Ceph",
    "Certificates",
    "Database",
    "ExternalTiDB",
    "Gateway",
    "Line",
    "MariaDB",
    "Process",
    "Quirk",
    "Rclone",
    "Received",
    "S3Server",
    "SeaweedFS",
    "ServerError",
    "Toxiproxy",
    "database",
    "external_tidb",
    "find_go",
    "free_port",
    "missing",
    "program",
    "second_database",
    "wait_until",
]
