"""Publish, read, follow and work with Python's standard library alone.

Run with a hub: `python3 examples/python/standard_library.py`; with a token in REPRISE_TOKEN.
"""

import json
import os
import time
import urllib.error
import urllib.request

HUB = os.environ.get("REPRISE_URL", "http://127.0.0.1:3000") + "/v1"
TOKEN = os.environ.get("REPRISE_TOKEN")


def open_hub(method, path, body=None, **headers):
    if TOKEN:
        headers["Authorization"] = f"Bearer {TOKEN}"
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body).encode()
    return urllib.request.urlopen(urllib.request.Request(HUB + path, body, headers, method=method), timeout=60)


def call(method, path, body=None, attempts=5):
    """What may be tried again says so, and when. Give drafts an id, so that they are stored once."""
    try:
        with open_hub(method, path, body) as answer:
            return json.load(answer) if answer.status != 204 else None
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        if not problem["retryable"] or attempts == 1:
            raise SystemExit(f"{problem['code']}: {problem['detail']}") from error
        time.sleep(problem.get("retryAfterMs", 500) / 1000)
        return call(method, path, body, attempts - 1)


def follow(topic, last=""):
    """Events as they come. It comes back by itself and goes on behind the last one seen."""
    while True:
        try:
            headers = {"Last-Event-ID": last} if last else {}
            with open_hub("GET", f"/topics/{topic}/stream?from=start", **headers) as stream:
                name = "message"
                for line in stream:
                    field, _, value = line.decode().rstrip("\n").partition(": ")
                    if field == "id":
                        last = value
                    elif field == "event":
                        name = value
                    elif field == "data":
                        if name == "message":
                            yield json.loads(value)
                        elif name == "gap":
                            print("gone:", value)
                        elif name == "end":
                            raise SystemExit(f"ended: {value}")
                    elif field == "":
                        name = "message"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise
        except OSError:
            pass
        time.sleep(1)


published = call("POST", "/topics/example.python/events", {"data": {"order": 7}, "id": f"order-{os.getpid()}"})
print("published at", published["offsets"])
page = call("GET", "/topics/example.python/events?after=0&limit=10")
print("read:", [event["data"] for event in page["events"]])
for event in follow("example.python"):
    print("followed:", event["data"])
    break

call("POST", "/queues/example.python/jobs", {"data": {"to": "ann"}})
claim = {"client": "python", "max": 1, "waitMs": 20_000}
for job in call("POST", "/queues/example.python/claims", claim)["jobs"]:
    print("working on:", job["data"])
    settlement = {"id": job["id"], "lease": job["lease"], "as": "done", "reply": "sent"}
    print("settled:", call("POST", "/queues/example.python/settlements", [settlement]))
