"""A proxy in front of an MLflow server that delays, refuses, cuts or loses answers."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

# What becomes of a request: "lose" and "fail after" forward it first.
Action = Literal["pass", "500", "429", "cut", "lose", "fail after", "hang"]


class Proxy:
    """Forwards requests to a server; `plan` decides by the number of the request, from 1."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.plan: Callable[[int], Action] = lambda _: "pass"
        self.delay_seconds = 0.0
        self.requests = 0
        self._counting = threading.Lock()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self.port = self._server.server_address[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def reset(self) -> None:
        """Answer everything again, and count from the start."""
        self.plan, self.delay_seconds, self.requests = (lambda _: "pass"), 0.0, 0

    def next_action(self) -> Action:
        with self._counting:
            self.requests += 1
            return self.plan(self.requests)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients that end their connection early are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        action = self.proxy.next_action()
        time.sleep(self.proxy.delay_seconds)
        if action == "hang":
            time.sleep(60)
        if action in ("cut", "hang"):
            self._cut()
        elif action in ("500", "429"):
            self._answer(int(action), b"planted", [])
        else:
            status, content, headers = self._forward(body)
            if action == "lose":
                self._cut()
            elif action == "fail after":
                self._answer(500, b"planted", [])
            else:
                self._answer(status, content, headers)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def _forward(self, body: bytes) -> tuple[int, bytes, list[tuple[str, str]]]:
        server = http.client.HTTPConnection("127.0.0.1", self.proxy.server_port, timeout=60)
        with closing(server):
            server.request(self.command, self.path, body, dict(self.headers))
            answer = server.getresponse()
            return answer.status, answer.read(), answer.getheaders()

    def _answer(self, status: int, content: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        pass
