"""What a stand-in for the API server of Kubeflow Pipelines 2.17 keeps, and how it answers.

It keeps pipelines, versions, experiments, schedules and runs in memory, and answers as the real one
did: a name that is taken is 409, a parameter of another type is 400, a schedule without a mode is
DISABLED and never fires, and removing a schedule ends its runs unless they are orphaned.
"""

import base64
import contextlib
import copy
import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from support.kfp_server_rule import refusals

Row = dict[str, Any]


class Refused(Exception):
    """An error that the server answers with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class KfpApiServer:
    """The server's content, and how it is made to fail.

    Attributes:
        address: Where it listens.
        token: What every request must bring; "" for none.
        page_size: The most objects of a page.
        requests: Method and path of each request.
        pauses: Barriers by "METHOD /path": so many callers are answered at the same moment, and
            get their answers when all are answered; a broken barrier holds nobody.
    """

    address: str = ""
    token: str = ""
    page_size: int = 200
    requests: list[str] = field(default_factory=list)
    pipelines: dict[str, Row] = field(default_factory=dict)
    versions: dict[str, Row] = field(default_factory=dict)
    experiments: dict[str, Row] = field(default_factory=dict)
    schedules: dict[str, Row] = field(default_factory=dict)
    runs: dict[str, Row] = field(default_factory=dict)
    pauses: dict[str, threading.Barrier] = field(default_factory=dict)
    _failures: dict[str, Any] = field(default_factory=dict)
    # Answers are computed one by one, as a data base's transactions are.
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def fail(self, request: str, status: int, message: str = "refused by the test") -> None:
        """Answer requests whose "METHOD /path" begins so with an error; status 0 is undoes it."""
        self._failures.pop(request, None)
        if status:
            self._failures[request] = Refused(status, message)

    def lose_answer(self, request: str) -> None:
        """Do what requests ask for that begin so, and close the connection without an answer."""
        self._failures[request] = ConnectionError()

    def fire(self) -> list[Row]:
        """Start a run of each schedule that is enabled, as its time does; return the runs."""
        return [
            self._add_run(dict(schedule), schedule["recurring_run_id"])
            for schedule in self.schedules.values()
            if schedule["status"] == "ENABLED"
        ]

    def answer(self, method: str, url: str, content: Any) -> Row:
        """Do what a request asks for; raise `Refused` or `ConnectionError`."""
        parts = urlsplit(url)
        request = f"{method} {parts.path}"
        self._pause(request)
        with self._turn:
            answer = copy.deepcopy(self._answer(request, parts.query, content))
        self._pause(request)
        return answer

    def _pause(self, request: str) -> None:
        if request in self.pauses:
            with contextlib.suppress(threading.BrokenBarrierError):
                self.pauses[request].wait()

    def _answer(self, request: str, parameters: str, content: Any) -> Row:
        query = {name: values[0] for name, values in parse_qs(parameters).items()}
        self.requests.append(request)
        failure = next((f for r, f in self._failures.items() if request.startswith(r)), None)
        if isinstance(failure, Refused):
            raise failure
        for route, handle in self._routes():
            if match := re.fullmatch(route, request.replace("/apis/v2beta1", "", 1)):
                answer = handle(*match.groups(), query, content)
                if failure:
                    raise failure
                return answer
        raise Refused(404, "Not Found")

    def _routes(self) -> list[tuple[str, Callable[..., Row]]]:
        name = "([^/:]+)"
        return [
            ("GET /healthz", lambda query, body: {"multi_user": False}),
            ("GET /pipelines", lambda query, body: self._page("pipelines", self.pipelines, query)),
            ("POST /pipelines", self._create_pipeline),
            ("POST /pipelines/upload", self._upload_pipeline),
            ("POST /pipelines/upload_version", self._upload_version),
            (f"GET /pipelines/{name}/versions", self._list_versions),
            (f"GET /pipelines/{name}/versions/{name}", self._version),
            (f"DELETE /pipelines/{name}/versions/{name}", self._delete_version),
            (
                "GET /experiments",
                lambda query, body: self._page("experiments", self.experiments, query),
            ),
            ("POST /experiments", self._create_experiment),
            ("GET /recurringruns", self._list_schedules),
            ("POST /recurringruns", self._create_schedule),
            (f"GET /recurringruns/{name}", lambda key, query, body: self._schedule(key)),
            (f"DELETE /recurringruns/{name}", self._delete_schedule),
            (f"POST /recurringruns/{name}:enable", self._switch("ENABLED", "ENABLE")),
            (f"POST /recurringruns/{name}:disable", self._switch("DISABLED", "DISABLE")),
            (f"GET /runs/{name}", lambda key, query, body: self.runs[key]),
            ("POST /runs", lambda query, body: self._add_run(self._checked(body), None)),
        ]

    def _page(self, field_name: str, rows: dict[str, Row], query: dict[str, str]) -> Row:
        selected = list(rows.values())
        for predicate in json.loads(query.get("filter") or "{}").get("predicates", []):
            assert predicate["operation"] in (1, "EQUALS")
            selected = [r for r in selected if r[predicate["key"]] == predicate["stringValue"]]
        token = json.loads(base64.b64decode(query.get("page_token") or "") or '[0, ""]')
        start, filtered_by = token
        if start and query.get("filter", filtered_by) != filtered_by:
            raise Refused(400, "page token does not match the supplied filtering criteria")
        size = min(self.page_size, int(query.get("page_size") or 20))
        answer: Row = {"total_size": len(selected)}
        if page := selected[start : start + size]:
            answer[field_name] = page
        if start + size < len(selected):
            following = json.dumps([start + size, query.get("filter", "")])
            answer["next_page_token"] = base64.b64encode(following.encode()).decode()
        return answer

    def _create_pipeline(self, query: dict[str, str], body: Row) -> Row:
        name = body.get("name") or body.get("display_name")
        if not name:
            raise Refused(400, "name is required")
        if any(pipeline["name"] == name for pipeline in self.pipelines.values()):
            raise Refused(
                409,
                "Already exist error: Failed to create a new pipeline. The name "
                f"{name} already exist. Please specify a new name",
            )
        key = self._id("pipeline")
        row = {"pipeline_id": key, "name": name, "display_name": name, "created_at": _CREATED}
        self.pipelines[key] = row
        return row

    def _upload_pipeline(self, query: dict[str, str], body: bytes) -> Row:
        spec = _spec(body)
        pipeline = self._create_pipeline(query, {"name": query.get("name")})
        self._add_version(pipeline["pipeline_id"], pipeline["name"], spec)
        return pipeline

    def _upload_version(self, query: dict[str, str], body: bytes) -> Row:
        if query.get("pipelineid") not in self.pipelines:
            raise Refused(400, "Failed to create a pipeline version")
        return self._add_version(query["pipelineid"], query["name"], _spec(body))

    def _add_version(self, pipeline_id: str, name: str, spec: Row) -> Row:
        for version in self.versions.values():
            if (version["pipeline_id"], version["name"]) == (pipeline_id, name):
                raise Refused(409, "Failed to create a pipeline version")
        key = self._id("version")
        row = {
            "pipeline_id": pipeline_id,
            "pipeline_version_id": key,
            "name": name,
            "display_name": name,
            "created_at": _CREATED,
            "pipeline_spec": spec,
        }
        self.versions[key] = row
        return row

    def _list_versions(self, pipeline_id: str, query: dict[str, str], body: Row) -> Row:
        rows = {k: v for k, v in self.versions.items() if v["pipeline_id"] == pipeline_id}
        return self._page("pipeline_versions", rows, query)

    def _version(self, pipeline_id: str, key: str, query: Row, body: Row) -> Row:
        if key not in self.versions:
            raise Refused(404, f"ResourceNotFoundError: PipelineVersion {key} not found.")
        return self.versions[key]

    def _delete_version(self, pipeline_id: str, key: str, query: Row, body: Row) -> Row:
        self._version(pipeline_id, key, query, body)
        del self.versions[key]
        return {}

    def _create_experiment(self, query: dict[str, str], body: Row) -> Row:
        name = body.get("display_name")
        if any(row["display_name"] == name for row in self.experiments.values()):
            raise Refused(
                409,
                "Already exist error: Failed to create a new experiment. The name "
                f"{name} already exists. Please specify a new name",
            )
        key = self._id("experiment")
        row = {"experiment_id": key, "created_at": _CREATED, "namespace": "", **body}
        self.experiments[key] = row
        return row

    def _list_schedules(self, query: dict[str, str], body: Row) -> Row:
        wanted = query.get("experiment_id")
        rows = {k: v for k, v in self.schedules.items() if wanted in (None, v["experiment_id"])}
        # The one field whose name in JSON is another than in the client.
        return self._page("recurringRuns", rows, query)

    def _create_schedule(self, query: dict[str, str], body: Row) -> Row:
        fields = body.get("trigger", {}).get("cron_schedule", {}).get("cron", "").split()
        if len(fields) != 6:
            raise Refused(400, "Schedule cron is not a supported format")
        row = {"mode": "DISABLE", "max_concurrency": "1", **self._checked(body)}
        key = self._id("schedule")
        enabled = row["mode"] == "ENABLE"
        row |= {"recurring_run_id": key, "status": "ENABLED" if enabled else "DISABLED"}
        self.schedules[key] = row
        return row

    def _schedule(self, key: str) -> Row:
        if key not in self.schedules:
            raise Refused(404, f"ResourceNotFoundError: Job {key} not found.")
        return self.schedules[key]

    def _switch(self, status: str, mode: str) -> Callable[..., Row]:
        def switch(key: str, query: Row, body: Row) -> Row:
            self._schedule(key).update(status=status, mode=mode)
            return {}

        return switch

    def _delete_schedule(self, key: str, query: dict[str, str], body: Row) -> Row:
        self._schedule(key)
        del self.schedules[key]
        if query.get("propagation_policy") != "ORPHAN":
            for run in self.runs.values():
                if run["recurring_run_id"] == key and run["state"] == "RUNNING":
                    run["state"] = "FAILED"
        return {}

    def _add_run(self, row: Row, schedule: str | None) -> Row:
        key = self._id("run")
        row |= {"run_id": key, "state": "RUNNING", "recurring_run_id": schedule}
        self.runs[key] = row
        return row

    def _checked(self, body: Row) -> Row:
        """What a run and a schedule must both fulfil."""
        if not body.get("display_name"):
            raise Refused(400, "name is empty. Please specify a valid name")
        if body.get("experiment_id") not in self.experiments:
            raise Refused(404, "Experiment not found")
        reference = body.get("pipeline_version_reference")
        spec = body.get("pipeline_spec")
        if reference:
            version = self.versions.get(reference.get("pipeline_version_id"))
            if version is None or version["pipeline_id"] != reference.get("pipeline_id"):
                raise Refused(404, "ResourceNotFoundError: PipelineVersion not found.")
            spec = version["pipeline_spec"]
        if not spec:
            raise Refused(400, "Empty pipeline spec source")
        spec = spec.get("pipeline_spec", spec)
        parameters = body.get("runtime_config", {}).get("parameters") or {}
        if reasons := refusals(parameters, spec):
            raise Refused(400, f"Invalid input error: {'; '.join(reasons)}")
        return {"service_account": "pipeline-runner", "created_at": _CREATED, **body}

    def _id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers)}"


_CREATED = "2026-11-25T03:00:00Z"


def _spec(package: bytes) -> Row:
    documents = [document for document in yaml.safe_load_all(package) if document]
    if not documents or "pipelineInfo" not in documents[0]:
        raise Refused(400, "Failed to create a pipeline version: no pipeline spec")
    return documents[0]
