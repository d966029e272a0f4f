#!/usr/bin/env sh
# The same as `make status`.
exec "$(dirname "$0")/launch.sh" status "$@"
