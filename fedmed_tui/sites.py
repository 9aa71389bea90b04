"""A site of a federation as a process of its own, seen from the command line."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from engine.interpreter import module_argv

END_SECONDS = 25.0
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What tells a process to end, beside Ctrl+C: `kill` or a service manager, and a terminal that is closed."""


def run_site(kit: Path, data: Path, environment: Mapping[str, str]) -> int:
    """Run a site in this terminal until it ends, or this process is told to end.

    Returns:
        Its exit code; 0 when this process was told to end, and the site has ended with it.
    """
    told, sites = threading.Event(), list[Site]()

    def end() -> None:
        told.set()
        for site in sites:
            site.process.terminate()

    with when_told_to_end(end, signal.SIGINT, *ENDING):
        sites.append(Site(kit, data, environment))
        if told.is_set():  # while the site was being started
            end()
        code = sites[0].process.wait()
    return 0 if told.is_set() else code


@contextmanager
def when_told_to_end(act: Callable[[], object], *signals: signal.Signals) -> Iterator[None]:
    """Act on the first of these signals and do nothing at the others. A hang-up that `nohup` keeps away stays away."""
    told = False

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if not told:
            told = True
            act()

    heard = [one for one in signals if one == signal.SIGINT or signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, handler) for one in heard}
    try:
        yield
    finally:
        for one, usual in before.items():
            signal.signal(one, usual)


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

    def stop(self) -> None:
        """End it and all of its processes."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
