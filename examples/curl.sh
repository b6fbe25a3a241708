#!/usr/bin/env bash
# Publish, read, follow and work with curl alone. Run with a hub: `examples/curl.sh`; with a token in REPRISE_TOKEN.
set -eo pipefail

hub=${REPRISE_URL:-http://127.0.0.1:3000}/v1
options=(-sS --fail-with-body)
if [ -n "$REPRISE_TOKEN" ]; then options+=(-H "Authorization: Bearer $REPRISE_TOKEN"); fi
json=(-H 'Content-Type: application/json')

# Publish. The id makes it safe to try again: the same one is stored once.
curl "${options[@]}" "$hub/topics/example.curl/events" "${json[@]}" -H "Idempotency-Key: order-$$" -d '{ "data": { "order": 7 } }'
echo

# Read the last event.
curl "${options[@]}" "$hub/topics/example.curl/events?before=1000000000&limit=1"
echo

# Follow, from the start until the first event: a line `data:` without `event:` before it is one.
while read -r line; do
  if [[ $line == 'data: {"offset":'*'"at":'* ]]; then echo "followed: ${line#data: }" && break; fi
done < <(exec curl -N "${options[@]}" "$hub/topics/example.curl/stream?from=start")
kill $!

# Send a job.
curl "${options[@]}" "$hub/queues/example.curl/jobs" "${json[@]}" -d '{ "data": { "to": "ann" } }'
echo

# Work: claim a job, waiting up to 20 s for one, and say what became of it. With jq it is less to write.
job=$(curl "${options[@]}" "$hub/queues/example.curl/claims" "${json[@]}" -d '{ "client": "curl", "waitMs": 20000 }')
id=$(sed 's/.*"id":"\([^"]*\)".*/\1/' <<<"$job")
lease=$(sed 's/.*"lease":"\([^"]*\)".*/\1/' <<<"$job")
echo "working on: $job"
settlement="[{ \"id\": \"$id\", \"lease\": \"$lease\", \"as\": \"done\" }]"
curl "${options[@]}" "$hub/queues/example.curl/settlements" "${json[@]}" -d "$settlement"
echo
