"""A site of a federation as a process of its own, seen from the command line."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.interpreter import module_argv

END_SECONDS = 25.0


class Site:
    """One hospital's, or the server's, processes.

    Args:
        kit: its kit.
        data: its partition; None for a server.
        environment: added to this process's own.
        log: where its output goes; None is this terminal.
    """

    def __init__(
        self, kit: Path, data: Path | None, environment: Mapping[str, str] | None = None, log: Path | None = None
    ) -> None:
        argv = module_argv("engine.federated.flare.site", kit, *([data] if data else []))
        output = log.open("ab") if log else None
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl+C is ours to pass on, once
            env={**os.environ, **(environment or {})},
        )
        if output:
            output.close()

    def wait(self) -> int:
        """Until it ends; Ctrl+C ends it. Returns its exit code, 0 after Ctrl+C."""
        try:
            return self.process.wait()
        except KeyboardInterrupt:
            self.stop()
            return 0

    def stop(self) -> None:
        """End it and all of its processes."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
