# The image of backup-manager: Python's slim image, this program, and PingCAP's dumpling.
#
# Nothing in it needs a writable root file system or a known user: it runs with any UID
# (OpenShift's too), keeps its files on the volume at /backup, and no file of it is writable.

# docs/image.md tells how to build it for another Dumpling, for arm64, from a mirror, and what is in
# it. A tag can be moved: both images may be pinned by their digest as well, as in
# --build-arg DUMPLING_VERSION=v8.5.1@sha256:...
ARG DUMPLING_IMAGE=pingcap/dumpling
ARG DUMPLING_VERSION=v8.5.1
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${DUMPLING_IMAGE}:${DUMPLING_VERSION} AS dumpling

FROM ${PYTHON_IMAGE} AS builder
# A mirror of PyPI, where the builder reaches no other; what it serves is held against the lock.
ARG PIP_INDEX_URL=
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
COPY docs/backup-manager.1 docs/
COPY backup_manager backup_manager
# Nobody can write bytecode at run time, so it is made here, valid whatever happens to the files'
# times: without it each start would compile all of boto3 first.
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . \
    && python -m pip --python /opt/backup-manager/bin/python install --no-deps /wheel/*.whl \
    && python -m compileall -q -f --invalidation-mode unchecked-hash /opt/backup-manager

FROM ${PYTHON_IMAGE}
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
# It runs one backup and ends: Kubernetes sees how by its exit code, and there is nothing to probe.
HEALTHCHECK NONE
ENTRYPOINT ["/entrypoint.sh"]
# Last of all, so that another commit or date makes no other layer.
ARG DUMPLING_VERSION
ARG PYTHON_IMAGE
ARG VERSION=0.1.0
ARG SOURCE=
ARG REVISION=
ARG CREATED=
LABEL org.opencontainers.image.title="backup-manager" \
      org.opencontainers.image.description="Full logical backups of TiDB to S3, with Dumpling" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      dumpling.version="${DUMPLING_VERSION}"
