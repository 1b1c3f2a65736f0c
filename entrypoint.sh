#!/bin/sh
# Becomes backup-manager, so that SIGTERM reaches it even as PID 1. The arguments are passed on as
# they stand. Writes nothing.
# To PID 1 a signal without a handler is lost: until Python has set its own, signals wait.
set -eu
exec env --block-signal=TERM --block-signal=INT backup-manager "$@"
