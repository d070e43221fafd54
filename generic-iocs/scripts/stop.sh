#!/bin/bash
# Before the container is stopped (preStop). The IOC's own orderly end needs nothing here: ioc-console
# types `exit` when the engine asks the container to stop.
#
#   config/stop.sh   what the instance wants done first

config=${CONFIG_DIR:-${IOC:-/epics/ioc}/config}
if [ -f "$config/stop.sh" ]; then
    exec "$BASH" "$config/stop.sh" "$@"
fi
