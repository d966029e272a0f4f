#!/usr/bin/env sh
# The same as `make train-massive`.
exec "$(dirname "$0")/launch.sh" train_massive "$@"
