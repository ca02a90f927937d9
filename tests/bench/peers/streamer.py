# SPDX-License-Identifier: MIT
"""streamer.py: the tutorial's streamer: Flask on gevent, a queue for each subscriber, on PORT."""
import os
import resource

from gevent import monkey

monkey.patch_all()

from flask import Flask, Response, request  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402
from gevent.queue import Queue  # noqa: E402

resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
app = Flask(__name__)
subscribers = []


def events(queue):
    try:
        # WSGI sends the response head with the first bytes, and the load waits for it.
        yield ": open\n\n"
        while True:
            yield f"data: {queue.get()}\n\n"
    finally:
        subscribers.remove(queue)


@app.route("/stream")
def stream():
    queue = Queue()
    subscribers.append(queue)
    return Response(events(queue), mimetype="text/event-stream")


@app.route("/publish", methods=["POST"])
def publish():
    data = request.get_data(as_text=True)
    for queue in subscribers[:]:
        queue.put(data)
    return "", 204


WSGIServer(("127.0.0.1", int(os.environ["PORT"])), app, backlog=4096, log=None).serve_forever()
