"""A run as a job of NVFlare: which classes do the work at the server and at each hospital. No code travels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

CONTROLLER = "nvflare.collab.runtime.controller.CollabController"
EXECUTOR = "nvflare.collab.runtime.executor.CollabExecutor"
COORDINATOR_RELAY = "engine.federated.flare.runtime.CoordinatorRelay"
HOSPITAL_RELAY = "engine.federated.flare.runtime.HospitalRelay"
SYNC_SECONDS = 60


def write_job(folder: Path, run: str, hospitals: Sequence[str], least: int, door: Path) -> Path:
    """A job as NVFlare takes it: two configurations that name classes of this package. It needs `least` hospitals."""
    app = folder / run / "app" / "config"
    app.mkdir(parents=True)
    common = {"format_version": 2, "task_data_filters": [], "task_result_filters": []}
    controller = {
        "server_obj_id": "_server",
        "collab_obj_ids": [],
        "props": {"door": str(door)},
        "sync_task_timeout": SYNC_SECONDS,
    }
    executor = {"path": EXECUTOR, "args": {"client_obj_id": "_client", "collab_obj_ids": []}}
    server = {
        "workflows": [{"id": "controller", "path": CONTROLLER, "args": controller}],
        "components": [{"id": "_server", "path": COORDINATOR_RELAY, "args": {}}],
    }
    client = {
        "executors": [{"tasks": ["*"], "executor": executor}],
        "components": [{"id": "_client", "path": HOSPITAL_RELAY, "args": {}}],
    }
    meta = {"name": run, "resource_spec": {}, "min_clients": least, "deploy_map": {"app": ["server", *hospitals]}}
    for path, content in (
        (app / "config_fed_server.json", common | server),
        (app / "config_fed_client.json", common | client),
        (folder / run / "meta.json", meta),
    ):
        path.write_text(json.dumps(content), encoding="utf-8")
    return folder / run
