#!/usr/bin/env sh
# The same as `make ingest`.
exec "$(dirname "$0")/launch.sh" ingest "$@"
