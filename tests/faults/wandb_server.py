"""As much of a W&B server as an online run needs, on this machine, to be taken away in the middle."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUCKET = {"id": "run", "name": "run", "displayName": "run", "config": "{}", "historyLineCount": 0}
PROJECT = {"id": "project", "name": "macpf", "entity": {"id": "entity", "name": "me"}}
#: By a part of the operation's name.
ANSWERS: dict[str, dict[str, Any]] = {
    "UpsertBucket": {"upsertBucket": {"bucket": BUCKET | {"project": PROJECT}, "inserted": True}},
    "RunResumeStatus": {"model": None},
    "CreateRunFiles": {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": []}},
}


class Server:
    """Listens at ``url`` until `die`; ``uploads`` counts the pieces of logs that were sent."""

    def __init__(self) -> None:
        self.uploads = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path.endswith("file_stream"):
                    server.uploads += 1
                    self._answer({})
                else:
                    query = json.loads(body)["query"]
                    data = next((data for name, data in ANSWERS.items() if name in query.split("(")[0]), {})
                    self._answer({"data": data})

            def _answer(self, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def die(self) -> None:
        self._http.shutdown()
        self._http.server_close()
