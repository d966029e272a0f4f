#!/usr/bin/env sh
# The same as `make demo`.
exec "$(dirname "$0")/launch.sh" demo "$@"
