#!/usr/bin/env bash
# Publish, read, follow and work with the command `reprise` in pipes. Run with a hub: `examples/shell.sh`.
# REPRISE_URL names the hub and REPRISE_TOKEN says who is calling; the command reads both.
set -euo pipefail

reprise() { ${REPRISE_COMMAND:-npx reprise} "$@"; }

# Publish each line of the input as one event.
printf '%s\n' '{ "order": 7 }' '{ "order": 8 }' | reprise pub example.shell

# Read what is kept, and follow: a client's name makes the next run go on where this one ended.
reprise sub example.shell --client shell-example --from start --count 2 --json

# Send a job, and work. Behind `--` a command would get each job as its input; without one they are printed, and done.
reprise send example.shell '{ "to": "ann" }'
reprise work example.shell --count 1 | sed 's/^/working on: /'
