"""A W&B server on 127.0.0.1 for tests: keeps what clients send, answers what they ask, and fails on demand.

It proves what our client sends, not what the real server does with it. Line offsets are honoured as there: a line sent
twice to one place is stored once.
"""

import base64
import hashlib
import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENTITY, KEY = "reviewer", "local-" + "0" * 40


@dataclass
class Run:
    """One run as the server knows it."""

    id: str
    name: str
    project: str | None = None
    config: dict = field(default_factory=dict)
    summary: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)
    group: str | None = None
    job_type: str | None = None
    display_name: str | None = None
    tags: list = field(default_factory=list)
    exit_code: int | None = None
    state: str = "running"
    upserts: int = 0

    @property
    def history(self):
        """Rows in order of their offsets."""
        lines = self.files.get("wandb-history.jsonl", {})
        return [json.loads(lines[at]) for at in sorted(lines)]

    @property
    def settings(self):
        """The config without W&B's wrapping and its own entries."""
        return {k: v["value"] for k, v in self.config.items() if k != "_wandb"}


class Server:
    """Started at once; `url`, `runs`, `views`, `artifacts` and `asked` (names of operations) can be looked at."""

    def __init__(self):
        self.runs, self.views, self.artifacts, self.blobs = {}, {}, {}, {}
        self.asked, self.changes, self.lock = [], [], threading.RLock()
        self.failing, self.delay, self._http, self._port = 0, 0.0, None, 0
        self.up()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def up(self):
        """Listen, at the same port as before."""
        handler = type("Bound", (Handler,), {"owner": self})
        self._http = Listener(("127.0.0.1", self._port), handler)
        self._port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def down(self):
        """Refuse connections and cut those that are open."""
        http, self._http = self._http, None
        if http is not None:
            http.shutdown()
            http.server_close()
            http.cut()

    @contextmanager
    def away(self, seconds):
        """Down from now on; up again after so many seconds, whatever the caller does meanwhile."""
        self.down()
        timer = threading.Timer(seconds, self.up)
        timer.start()
        try:
            yield
        finally:
            timer.join()

    def fail(self, times):
        """Answer the next requests with 503."""
        self.failing = times

    def run(self, name):
        """The run of this id; made where there is none."""
        return self.runs.setdefault(name, Run(id=base64.b64encode(name.encode()).decode(), name=name))

    def stored(self):
        """Everything that lasts, to be compared: did anything change?"""
        runs = {name: (run.config, run.summary, run.history, run.tags, run.state) for name, run in self.runs.items()}
        return json.loads(json.dumps([runs, self.views, sorted(self.artifacts), sorted(self.blobs)]))


class Listener(ThreadingHTTPServer):
    """Remembers its connections so that they can be cut."""

    daemon_threads, allow_reuse_address = True, True

    def __init__(self, *args):
        self.connections = set()
        super().__init__(*args)

    def process_request(self, request, address):
        self.connections.add(request)
        super().process_request(request, address)

    def shutdown_request(self, request):
        self.connections.discard(request)
        super().shutdown_request(request)

    def cut(self):
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request, address):
        """A client that goes away is nothing to report."""


class Handler(BaseHTTPRequestHandler):
    """Endpoints: /graphql, /files/.../file_stream, /store/NAME (uploads)."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Silence."""

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, value, status=200):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _broken(self):
        owner = self.owner
        time.sleep(owner.delay)
        with owner.lock:
            broken, owner.failing = owner.failing > 0, max(0, owner.failing - 1)
        if broken:
            self._answer({"error": "unavailable"}, 503)
        return broken

    def do_PUT(self):
        body = self._body()
        if not self._broken():
            self.owner.blobs[self.path.removeprefix("/store/")] = body
            self._answer({})

    def do_GET(self):
        self._body()
        if not self._broken():
            self._answer({})

    def do_POST(self):
        body = self._body()
        if self._broken():
            return
        with self.owner.lock:
            if self.path.endswith("/file_stream"):
                self._answer(stream(self.owner, self.path.split("/")[-2], json.loads(body)))
            elif self.path.endswith("/graphql"):
                asked = json.loads(body)
                name = re.search(r"\b(?:query|mutation)\s+(\w+)", asked["query"])[1]
                self.owner.asked.append(name)
                act = ANSWERS.get(name)
                if act is None:
                    self._answer({"data": {}, "errors": [{"message": f"unknown operation {name}"}]})
                else:
                    given = {k: v for k, v in (asked.get("variables") or {}).items() if f"${k}" in asked["query"]}
                    self._answer({"data": act(self.owner, given)})
            else:
                self._answer({})


def stream(server, name, body):
    """One request of a run's file stream."""
    run = server.run(name)
    for file, chunk in (body.get("files") or {}).items():
        lines = run.files.setdefault(file, {})
        for at, line in enumerate(chunk["content"], chunk["offset"]):
            lines[at] = line
        if file == "wandb-summary.json" and chunk["content"]:
            run.summary = json.loads(chunk["content"][-1])
    if body.get("complete"):
        run.exit_code = body.get("exitcode")
        run.state = "finished" if run.exit_code == 0 else "failed"
    return {}


def viewer(server, variables):
    who = {"id": "u", "name": ENTITY, "username": ENTITY, "email": "", "admin": False, "flags": "{}", "entity": ENTITY}
    empty = {"edges": []}
    return {"viewer": who | {"deletedAt": None, "apiKeys": empty, "teams": empty, "organizations": []}}


def upsert_run(server, v):
    name = v.get("name") or base64.b64decode(v["id"]).decode()
    inserted = name not in server.runs
    run = server.run(name)
    run.upserts += 1
    if v.get("state"):
        run.state = v["state"]
    elif v.get("project"):
        run.state = "running"
    fields = {"config": "config", "summaryMetrics": "summary"}
    for key, attribute in fields.items():
        if v.get(key):
            setattr(run, attribute, json.loads(v[key]))
    for key, attribute in {"groupName": "group", "jobType": "job_type", "displayName": "display_name"}.items():
        if v.get(key):
            setattr(run, attribute, v[key])
    if v.get("display_name"):
        run.display_name = v["display_name"]
    if v.get("tags") is not None:
        run.tags = v["tags"]
    run.project = v.get("project") or run.project
    return {"upsertBucket": {"bucket": node(run), "inserted": inserted}}


def node(run):
    """All that is asked about a run; W&B's clients take what they want of it."""
    at = {"createdAt": "2026-01-01T00:00:00Z", "heartbeatAt": "2026-01-01T00:00:00Z"}
    project = {"id": "p", "name": run.project, "entity": {"id": "e", "name": ENTITY}}
    texts = {"description": "", "notes": "", "commit": "", "sweepName": None, "systemMetrics": "{}", "readOnly": False}
    return at | texts | {
        "id": run.id,
        "name": run.name,
        "displayName": run.display_name,
        "config": json.dumps(run.config),
        "summaryMetrics": json.dumps(run.summary),
        "state": run.state,
        "tags": run.tags,
        "group": run.group,
        "jobType": run.job_type,
        "project": project,
        "projectId": "1",
        "user": {"name": ENTITY, "username": ENTITY},
        "historyKeys": None,
        "historyLineCount": len(run.history),
    }  # fmt: skip


def resume_status(server, v):
    run = server.runs.get(v["name"])
    if run is None:
        return {"model": {"id": "p", "name": v["project"], "entity": {"id": "e", "name": ENTITY}, "bucket": None}}
    tail = json.dumps([json.dumps(row) for row in run.history[-1:]])
    began = run.config.get("_wandb", {}).get("value", {}).get("t")  # without it a run was made, but never begun
    counts = {"logLineCount": 0, "eventsLineCount": len(run.files.get("wandb-events.jsonl", {})), "eventsTail": "[]"}
    bucket = node(run) | counts | {"historyTail": tail, "wandbConfig": json.dumps({"t": began})}
    return {"model": {"id": "p", "name": v["project"], "entity": {"id": "e", "name": ENTITY}, "bucket": bucket}}


def runs(server, v):
    wanted = json.loads(v.get("filters") or "{}").get("name", {}).get("$in")
    found = [run for name, run in sorted(server.runs.items()) if wanted is None or name in wanted]
    found = [run for run in found if run.project == v["project"]]
    if not any(run.project == v["project"] for run in server.runs.values()):
        return {"project": None}
    first = int(v.get("cursor") or 0)
    page = found[first : first + v.get("perPage", 50)]
    edges = [{"node": node(run), "cursor": str(first + at + 1)} for at, run in enumerate(page)]
    more = first + len(page) < len(found)
    info = {"endCursor": str(first + len(page)), "hasNextPage": more}
    project = {"internalId": "1", "runCount": len(found), "readOnly": False}
    return {"project": project | {"runs": {"edges": edges, "pageInfo": info}}}


def one_run(server, v):
    run = server.runs.get(v["name"])
    return {"project": {"internalId": "1", "run": None if run is None else node(run)}}


def full_history(server, v):
    lines = [json.dumps(row) for row in server.runs[v["name"]].history]
    return {"project": {"run": {"history": lines[: v["samples"]]}}}


def sampled_history(server, v):
    asked = [json.loads(spec) for spec in v["specs"]]
    rows = server.runs[v["name"]].history
    picked = [[{k: r[k] for k in s["keys"]} for r in rows if all(k in r for k in s["keys"])] for s in asked]
    return {"project": {"run": {"sampledHistory": [p[: s["samples"]] for p, s in zip(picked, asked, strict=True)]}}}


def run_files(server, v):
    files = [{"name": name, "uploadUrl": f"{server.url}/store/{v['run']}/{name}"} for name in v["files"]]
    return {"createRunFiles": {"runID": v["run"], "uploadHeaders": [], "files": files}}


def create_artifact(server, v):
    given = v["input"]
    key = hashlib.sha256((given["artifactCollectionName"] + given["digest"]).encode()).hexdigest()[:12]
    name = given["artifactCollectionName"]
    server.artifacts.setdefault(key, {"name": name, "type": given["artifactTypeName"], "state": "PENDING"})
    artifact = {"id": key, "state": server.artifacts[key]["state"], "artifactSequence": {"latestArtifact": None}}
    return {"createArtifact": {"artifact": artifact}}


def create_manifest(server, v):
    url = f"{server.url}/store/manifest/{v['artifactID']}" if v.get("includeUpload") else None
    file = {"id": "f", "name": v["name"], "uploadUrl": url, "uploadHeaders": []}
    return {"createArtifactManifest": {"artifactManifest": {"id": "m" + v["artifactID"], "file": file}}}


def artifact_files(server, v):
    edges = []
    for spec in v["input"]["artifactFiles"]:
        url = f"{server.url}/store/artifact/{spec['artifactID']}/{spec['name']}"
        where = {"storagePath": spec["name"], "uploadUrl": url, "uploadHeaders": [], "uploadMultipartUrls": None}
        edges.append({"node": where | {"name": spec["name"], "artifact": {"id": spec["artifactID"]}}})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def commit_artifact(server, v):
    server.artifacts[v["artifactID"]]["state"] = "COMMITTED"
    return {"commitArtifact": {"artifact": {"id": v["artifactID"], "digest": "d"}}}


def upsert_view(server, v):
    found = v.get("id")
    if not found:
        taken = [key for key, view in server.views.items() if view["name"] == v["name"]]
        found = taken[0] if taken else f"view{len(server.views)}"
    inserted = found not in server.views
    server.views[found] = {"id": found, **{key: v[key] for key in ("name", "displayName", "spec", "projectName")}}
    return {"upsertView": {"view": {"id": found, "name": v["name"]}, "inserted": inserted}}


def views(server, v):
    found = [view for view in server.views.values() if view["name"] == v["viewName"]]
    return {"project": {"allViews": {"edges": [{"node": view} for view in found]}}}


ANSWERS = {
    "Viewer": viewer,
    "GetViewer": viewer,
    "GetDefaultEntity": viewer,
    "ServerFeaturesQuery": lambda server, v: {"serverInfo": {"features": []}},
    "OrganizationCoreWeaveOrganizationID": lambda server, v: {"entity": None},
    "UpsertBucket": upsert_run,
    "RunResumeStatus": resume_status,
    "CreateRunFiles": run_files,
    "Run": one_run,
    "GetRun": one_run,
    "Runs": runs,
    "RunFullHistory": full_history,
    "RunSampledHistory": sampled_history,
    "ArtifactType": lambda server, v: {"project": {"artifact": None}},
    "CreateArtifact": create_artifact,
    "CreateArtifactManifest": create_manifest,
    "UpdateArtifactManifest": lambda server, v: {"updateArtifactManifest": {"artifactManifest": None}},
    "CreateArtifactFiles": artifact_files,
    "CommitArtifact": commit_artifact,
    "UpsertView2": upsert_view,
    "View": views,
}
