#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A KDS and PCS of our own on loopback, for tests of `assay endorsements fetch`.

endorsement_server.py DIRECTORY: prints its port. DIRECTORY/answers.json, read at each request, is
an object by path and query: {"file": F, "headers": {..}, "busy": N, "retry_after": "S", "status": C,
"size": BYTES}. busy: so many times 429 first. Each request is a line of DIRECTORY/requests."""
import contextlib
import http.server
import json
import os
import sys

directory = sys.argv[1]
busy = {}


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        with open(os.path.join(directory, "requests"), "a") as f:
            f.write(self.path + "\n")
        with open(os.path.join(directory, "answers.json")) as f:
            answer = json.load(f).get(self.path)
        if answer is None:
            self.reply(404, b"", {})
            return
        done = busy.get(self.path, 0)
        if done < answer.get("busy", 0):
            busy[self.path] = done + 1
            retry = answer.get("retry_after")
            self.reply(429, b"", {"Retry-After": retry} if retry else {})
            return
        body = b"\0" * answer.get("size", 0)
        if "file" in answer:
            with open(os.path.join(directory, answer["file"]), "rb") as f:
                body = f.read()
        self.reply(answer.get("status", 200), body, answer.get("headers", {}))

    def reply(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # it had enough
            self.wfile.write(body)


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
