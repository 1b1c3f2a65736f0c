#!/bin/sh
# Becomes backup-manager, so that SIGTERM reaches it even as PID 1. The arguments are passed on as
# they stand. Writes nothing.
set -eu
exec backup-manager "$@"
