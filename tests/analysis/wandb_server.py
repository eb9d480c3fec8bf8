"""A W&B server as far as ``wandb.Api`` reads runs from one, on the loopback interface.

It answers the seven GraphQL queries that the client of wandb 0.31 sends (written down from its requests) and serves
exported history as parquet. What a real server answers beyond that is not known here. Rows are what was logged, never
what our own reader of logs made of it.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: W&B takes any key of this length.
KEY = "k" * 40


@dataclass
class StoredRun:
    """A run as the server keeps it: the rows of all attempts in one history.

    `lost` rows are counted and never given; the first `exported` rows are given as parquet only; asking for live rows
    of a `refused` run is an error.
    """

    name: str
    config: dict[str, Any]
    rows: Sequence[dict[str, Any]]
    state: str = "finished"
    summary: dict[str, Any] = field(default_factory=lambda: {"done": 1})
    lost: int = 0
    exported: int = 0
    refused: bool = False
    files: dict[str, bytes] = field(default_factory=dict)

    def history(self) -> list[dict[str, Any]]:
        return [{**row, "_step": i, "_timestamp": 1e9 + i, "_runtime": i} for i, row in enumerate(self.rows)]

    def node(self) -> dict[str, Any]:
        return {
            **{"id": f"id-{self.name}", "projectId": "1", "name": self.name, "displayName": self.name},
            **{"state": self.state, "tags": [], "user": {"name": "user", "username": "user"}, "systemMetrics": "{}"},
            **{"createdAt": "2026-01-01T00:00:00Z", "heartbeatAt": "2026-01-01T01:00:00Z"},
            "config": json.dumps({key: {"value": value, "desc": None} for key, value in self.config.items()}),
            "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": len(self.rows) + self.lost,
        }


class WandbServer(ThreadingHTTPServer):
    """Serves `projects`, by ``entity/project``; `asked` lists the queries with their variables."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.projects: dict[str, list[StoredRun]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The client hangs up when it ends; that is no error."""

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        match = re.search(r"query (\w+)", query)
        assert match is not None
        name = match.group(1)
        self.asked.append((name, variables))
        if name in ("Viewer", "GetDefaultEntity"):
            teams: dict[str, Any] = {"edges": []}
            return {
                "viewer": {"id": "1", "entity": "user", "username": "user", "email": "", "flags": "{}", "teams": teams}
            }
        runs = self.projects.get(f"{variables['entity']}/{variables['project']}")
        if runs is None:
            return {"project": None}
        if name == "Runs":
            return {"project": self._page(runs, variables["cursor"], variables["perPage"])}
        wanted = variables.get("name") or variables.get("runName") or variables.get("run")
        (run,) = (run for run in runs if run.name == wanted)
        return {"project": {"run": self._of_run(name, run, variables)}}

    def _page(self, runs: list[StoredRun], cursor: str | None, size: int) -> dict[str, Any]:
        begin = int(cursor or 0)
        edges = [{"node": run.node(), "cursor": str(begin + i + 1)} for i, run in enumerate(runs[begin : begin + size])]
        info = {"endCursor": str(begin + len(edges)), "hasNextPage": begin + len(edges) < len(runs)}
        return {
            **{"internalId": "1", "runCount": len(runs), "readOnly": False},
            "runs": {"edges": edges, "pageInfo": info},
        }

    def _of_run(self, name: str, run: StoredRun, variables: dict[str, Any]) -> dict[str, Any]:
        live = run.history()[run.exported :]
        if name == "RunHistoryKeys":
            return {"historyKeys": {"lastStep": len(run.rows) - 1, "sets": [], "keys": {}}}
        if name == "RunParquetHistory":
            urls = [f"{self.url}/exported/{run.name}"] if run.exported else []
            return {"parquetHistory": {"parquetUrls": urls, "liveData": [{"_step": row["_step"]} for row in live]}}
        if name == "RunFiles":
            edges = [{"node": self._file(run, path)} for path in variables["fileNames"]]
            info = {"endCursor": None, "hasNextPage": False}
            return {"fileCount": len(edges), "files": {"edges": edges, "pageInfo": info}}
        assert name == "HistoryPage", name
        if run.refused:
            raise PermissionError
        steps = range(variables["minStep"], variables["maxStep"])
        page = [json.dumps(row) for row in live if row["_step"] in steps]
        return {"history": page[: variables["pageSize"]]}

    def _file(self, run: StoredRun, path: str) -> dict[str, Any]:
        url = f"{self.url}/files/{run.name}/{path}"
        size = len(run.files.get(path, b""))
        return {"id": path, "name": path, "url": url, "directUrl": url, "sizeBytes": size, "md5": "", "mimetype": ""}

    def file(self, path: str) -> bytes:
        _, _, name, path = path.split("/", 3)
        (run,) = (run for runs in self.projects.values() for run in runs if run.name == name)
        return run.files[path]

    def exported(self, name: str) -> bytes:
        (run,) = (run for runs in self.projects.values() for run in runs if run.name == name)
        out = BytesIO()
        pq.write_table(pa.Table.from_pylist(run.history()[: run.exported]), out)
        return out.getvalue()


class _Handler(BaseHTTPRequestHandler):
    server: WandbServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            answer = {"data": self.server.answer(body["query"], body.get("variables") or {})}
        except PermissionError:
            self._send(b'{"errors": [{"message": "permission denied"}]}', "application/json", 403)
        else:
            self._send(json.dumps(answer).encode(), "application/json")

    def do_GET(self) -> None:
        is_file = self.path.startswith("/files/")
        body = self.server.file(self.path) if is_file else self.server.exported(self.path.rpartition("/")[2])
        self._send(body, "application/octet-stream")

    def _send(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[WandbServer]:
    with WandbServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
