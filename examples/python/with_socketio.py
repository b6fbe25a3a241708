"""Publish, read, follow and work over Socket.IO: `pip install "python-socketio[client]"`.

Run with a hub: `python3 examples/python/with_socketio.py`; with a token in REPRISE_TOKEN.
"""

import os
import queue

import socketio

HUB = os.environ.get("REPRISE_URL", "http://127.0.0.1:3000")
TOPIC = "/topics/example.socketio"
QUEUE = "example.socketio"

hub = socketio.Client()
events, jobs = queue.Queue(), queue.Queue()


@hub.on("events", namespace=TOPIC)
def on_events(page):
    for event in page["events"]:
        events.put(({"epoch": page["epoch"], "offset": event["offset"]}, event["data"]))


@hub.on("gap", namespace=TOPIC)
def on_gap(gap):
    print("gone:", gap["from"], gap["to"], gap["reason"])


@hub.on("error", namespace=TOPIC)
def on_error(error):
    print("ended:", error["code"], error["message"])


@hub.on("jobs", namespace="/queues")
def on_jobs(name, handed_out):
    for job in handed_out:
        jobs.put(job)


def call(namespace, name, *args):
    reply = hub.call(name, args if len(args) > 1 else args[0], namespace=namespace)
    if not reply["ok"]:
        raise SystemExit(f"{reply['error']['code']}: {reply['error']['message']}")
    return reply["value"]


# `auth` goes to both namespaces; the client's name names the cursor, and the holder of jobs.
auth = {"client": "python", "from": "start"}
if os.environ.get("REPRISE_TOKEN"):
    auth["token"] = os.environ["REPRISE_TOKEN"]
hub.connect(HUB, auth=auth, namespaces=[TOPIC, "/queues"])

print("published at", call(TOPIC, "publish", [{"data": {"order": 7}}], None)["offsets"])
print("read:", [event["data"] for event in call(TOPIC, "read", {"after": 0, "limit": 10})["events"]])
position, data = events.get(timeout=10)
print("followed:", data)
call(TOPIC, "ack", position)

call("/queues", "send", QUEUE, [{"data": {"to": "ann"}}], None)
call("/queues", "consume", QUEUE, {"credit": 1})
job = jobs.get(timeout=10)
print("working on:", job["data"])
print("settled:", call("/queues", "settle", QUEUE, [{"id": job["id"], "lease": job["lease"], "as": "done"}]))
hub.disconnect()
