#!/usr/bin/env sh
# The same as `make ui`.
exec "$(dirname "$0")/launch.sh" ui "$@"
