#!/usr/bin/env sh
# The same as `make notebook`.
exec "$(dirname "$0")/launch.sh" notebook "$@"
