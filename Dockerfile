# The image of backup-manager: Python's slim image, this program, and PingCAP's dumpling.
#
# Nothing in it needs a writable root file system or a known user: it runs with any UID
# (OpenShift's too), keeps its files on the volume at /backup, and no file of it is writable.

# A tag can be moved. To pin the bytes as well, ask the registry for the digest
# (docker buildx imagetools inspect pingcap/dumpling:v8.5.1) and add it to the FROM line:
# pingcap/dumpling:v8.5.1@sha256:... The same goes for Python's image.
ARG DUMPLING_VERSION=v8.5.1
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM pingcap/dumpling:${DUMPLING_VERSION} AS dumpling

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# What changes seldom comes first: these layers are built again only with another lock.
COPY requirements/build.txt requirements/run.txt requirements/
RUN python -m pip install --require-hashes --requirement requirements/build.txt \
    && python -m venv --without-pip /opt/backup-manager \
    && python -m pip --python /opt/backup-manager/bin/python install \
        --require-hashes --only-binary :all: --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY backup_manager backup_manager
# Nobody can write bytecode at run time, so it is made here, valid whatever happens to the files'
# times: without it each start would compile all of boto3 first.
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
    && python -m pip --python /opt/backup-manager/bin/python install --no-deps /wheel/*.whl \
    && python -m compileall -q -f --invalidation-mode unchecked-hash /opt/backup-manager

FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="backup-manager" \
      org.opencontainers.image.description="Full logical backups of TiDB to S3, with Dumpling" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=dumpling --chmod=755 /dumpling /dumpling
COPY --from=builder /opt/backup-manager /opt/backup-manager
COPY --chmod=755 entrypoint.sh /entrypoint.sh
COPY LICENSE /LICENSE
# A UID without an entry in /etc/passwd has no home: libraries that look for one look in /tmp.
ENV PATH=/opt/backup-manager/bin:$PATH \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:0
WORKDIR /
ENTRYPOINT ["/entrypoint.sh"]
