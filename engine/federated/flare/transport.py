"""The coordinator's transport over NVFlare: one job a run, one call a question, answers as they come.

When a job breaks (a site's job process died, the server was restarted), a new one is submitted with whoever is connected, and
those who had not answered are asked again, once. A hospital that came back is taken in again at the start of a round.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from engine.errors import FederationError
from engine.federated.flare import answers, wire
from engine.federated.flare.channel import Answer, Call, Door, Halt, Line, News, Sites
from engine.federated.flare.job import write_job
from engine.federated.flare.kits import Federation, nvflare
from engine.federated.flare.question import BEAT, PATIENCE_SECONDS, Question, in_thread, same
from engine.federated.flare.worker import differences
from engine.federated.transport import Assessing, Evaluating, NotReady, Training
from engine.federated.update import Assessment, Assignment, Lost, Update
from engine.model.adapters import Adapter, digest_of
from engine.protocol import AnyEvent, FederationBroke, HospitalInfo, Progress

JOIN_SECONDS = 1800.0
"""For a hospital to read its data and load its model."""
NO_LIMIT_SECONDS = 7 * 24 * 3600.0
LOOKS = 2
"""How often the server is asked who is there: on a busy machine one answer may come too late."""
LOG = "See the server's log."
BEGIN = "All need the same base model and program version. `fedmed-tui hospital start KIT --data FOLDER` connects a hospital."
Opening = Generator[AnyEvent | None, None, None]
Answers = Generator[Answer | News | None, None, None]
Unanswered = Generator[Answer | News | None, None, set[str]]


class FlareTransport:
    """Hospitals of a federation. Open it before use, close it whatever happens.

    Args:
        federation: where they are.
        invitation: the run, and the model that everybody must have.
        known: what is known of hospitals from an earlier session of the run; they may be away.
    """

    def __init__(self, federation: Federation, invitation: wire.Join, known: Mapping[str, HospitalInfo]) -> None:
        self._federation = federation
        self._invitation = invitation
        config = invitation.config
        self._names = tuple(sorted(config.data.hospitals or federation.hospitals))
        self._seconds = config.federation.deadline_s or NO_LIMIT_SECONDS
        self._infos = dict(known)
        self._numbers = itertools.count(1)
        self._line: Line | None = None
        self._sites: tuple[str, ...] = ()
        self._out: dict[str, Lost] = {}
        """Hospitals of this job that are not asked: they could not join, or have another model."""
        self._carrying = 0.0
        self._news: list[AnyEvent] = []
        self._there: defaultdict[str, dict[str, str]] = defaultdict(dict)
        """Digests of the adapters that a hospital has: the one it was given last, and the one it sent last."""

    def open(self, job: str) -> Opening:
        """Submit the job and let everybody join. Raises NotReady when somebody is missing, or has something else."""
        yield from self._submit(job)
        missing = [self._absent(name) for name in self._names if name not in self._infos]
        if missing:
            why = "; ".join(f"{one.hospital}: {one.reason}" for one in missing)
            raise NotReady(f"not every hospital can begin: {why}.", missing, where=self._federation.name, hint=BEGIN)

    def close(self) -> None:
        """Everybody stops; the job ends."""
        if self._line is not None:
            with suppress(OSError):
                self._line.send(Halt())
            self._line.close()
            self._line = None

    def carrying(self) -> float:
        """Seconds since the last call in which messages were carried and no hospital worked."""
        seconds, self._carrying = self._carrying, 0.0
        return seconds

    def news(self) -> list[AnyEvent]:
        """What has happened to the connection since the last call."""
        told, self._news = self._news, []
        return told

    # --- Transport -------------------------------------------------------------------------------------------------------------

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """Who takes part, sorted by name."""
        return tuple(self._infos[name] for name in self._names)

    def train(self, assignment: Assignment) -> Training:
        """All hospitals that are asked, at once."""
        yield from self._take_in()
        start = digest_of(assignment.start)
        header = wire.Train(start=start, round=assignment.round, trains=assignment.trains, held=assignment.held)
        made: dict[object, bytes] = {}

        def message(name: str) -> bytes:
            own = {"correction": assignment.corrections[name]} if name in assignment.corrections else {}
            return self._packed(name, header, start, {"start": assignment.start}, own, made)

        for item in self._ask("train", message, [name for name in self._names if assignment.asks(name)]):
            if isinstance(item, News):
                yield answers.progress(item, assignment.round)
            elif item is None:
                yield None
            else:
                update = answers.update(item)
                if isinstance(update, Update):
                    self._there[item.site]["sent"] = digest_of(update.adapter)
                else:
                    self._there.pop(item.site, None)  # its engine may be a new one, which has nothing
                yield update

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """All named hospitals at once."""
        different = {id(adapter): adapter for adapter in adapters.values()}
        digests = {key: digest_of(adapter) for key, adapter in different.items()}
        made: dict[object, bytes] = {}

        def message(name: str) -> bytes:
            digest = digests[id(adapters[name])]
            return self._packed(name, wire.Evaluate(adapter=digest), digest, {"adapter": adapters[name]}, {}, made)

        for item in self._ask("evaluate", message, adapters):
            if isinstance(item, Answer):
                evaluation = answers.evaluation(item)
                if isinstance(evaluation, Lost):
                    self._there.pop(item.site, None)
                yield evaluation
            else:
                yield None

    def assess(self, assessment: Assessment) -> Assessing:
        """All voters at once."""
        groups = {f"{place:04d}": adapter for place, adapter in enumerate(assessment.adapters)}
        asked = wire.Assess(
            round=assessment.round,
            vectors=assessment.vectors,
            part=assessment.part,
            pairs=assessment.pairs,
            tokens=dict(assessment.tokens),
            slopes=assessment.slopes,
        )
        payload = wire.pack(asked, groups)  # one for all: it holds every hospital's adapter
        for item in self._ask("assess", lambda name: payload, assessment.tokens):
            if not isinstance(item, News):
                yield None if item is None else answers.verdict(item)

    def _packed(
        self, name: str, header: wire.Header, digest: str, adapter: wire.Groups, own: wire.Groups, made: dict[object, bytes]
    ) -> bytes:
        """The message to a hospital, without the adapter where it has that already; the same one for all is packed once."""
        travels = digest not in self._there[name].values()
        if travels:
            self._there[name]["given"] = digest
        key = (digest, travels, name if own else "")
        if key not in made:
            made[key] = wire.pack(header, (adapter if travels else {}) | own)
        return made[key]

    # --- calls -----------------------------------------------------------------------------------------------------------------

    def _ask(self, method: str, message: Callable[[str], bytes], names: Collection[str]) -> Answers:
        """An `Answer` for each named hospital, in the order of arrival; `message` says what to ask it."""
        left = yield from self._put(method, message, names, self._seconds)
        if left and (yield from self._again()):
            left = yield from self._put(method, message, left, self._seconds)
        for name in sorted(left):
            yield Answer(number=0, site=name, fault="gone", reason="the connection to the federation broke")

    def _put(self, method: str, message: Callable[[str], bytes], names: Collection[str], seconds: float) -> Unanswered:
        """One question, within the job as it is. Returns those whose answer was lost because the job broke."""
        waiting = {name for name in names if name in self._sites and name not in self._out}
        for name in sorted(set(names) - waiting):
            absent = self._absent(name)
            yield Answer(number=0, site=name, fault=absent.kind, reason=absent.reason)
        payloads = {name: message(name) for name in sorted(waiting)}
        question = Question(next(self._numbers), waiting)
        try:
            for payload, sites in same(payloads):
                call = Call(number=question.number, method=method, sites=sites, payload=payload, seconds=seconds)
                self._require().send(call)
            while question.waiting:
                yield question.heard(self._require().receive(BEAT))
                for name in question.silent():
                    self._sites = tuple(site for site in self._sites if site != name)
                    yield Answer(number=question.number, site=name, fault="gone", reason="nothing is heard from it")
        except (EOFError, OSError):
            self._drop()
            self._news.append(FederationBroke())
        self._carrying += question.carrying
        return question.waiting

    def _absent(self, name: str) -> Lost:
        """Why a hospital is not asked."""
        return self._out.get(name) or Lost(name, "gone", "it is not connected")

    def _require(self) -> Line:
        if self._line is None:
            raise EOFError
        return self._line

    def _drop(self) -> None:
        if self._line is not None:
            self._line.close()
        self._line, self._sites = None, ()

    # --- jobs ------------------------------------------------------------------------------------------------------------------

    def _take_in(self) -> Opening:
        """A new job when the last one broke, or when somebody who was away is back."""
        away = set(self._names) - set(self._sites)
        if away and (self._line is None or away & set((yield from in_thread(self._connected)))):
            self.close()
            yield from self._again()

    def _again(self) -> Generator[None, None, bool]:
        """A new job in place of the last one. False: there is none; everybody is lost for now, and the quorum decides."""
        with suppress(FederationError):
            for _ in self._submit(""):
                yield None
            return True
        return False

    def _connected(self) -> list[str]:
        runtime = nvflare()

        for _ in range(LOOKS):
            with suppress(Exception):
                return list(runtime.look(self._federation.kit("operator"), self._federation.name)[0])
        return []

    def _submit(self, job: str) -> Opening:
        """A job with every named hospital that is connected, and their joining."""
        runtime = nvflare()

        self._drop()
        if job:
            yield Progress(job=job, what=f"looking for the hospitals of {self._federation.name}", done=0, total=0)
        connected = yield from in_thread(self._connected)
        present = [name for name in self._names if name in connected]
        if not present:
            away, hint = map(self._absent, self._names), "`fedmed-tui federation status` says who is."
            raise NotReady("no hospital is connected.", list(away), where=self._federation.name, hint=hint)
        config = self._invitation.config.federation
        least = len(present) if job else min(len(present), config.needed(len(self._names)))
        with Door() as door, tempfile.TemporaryDirectory() as work:
            folder = write_job(Path(work), self._invitation.run, present, least, door.folder)
            yield from in_thread(lambda: runtime.submit(self._federation.kit("operator"), self._federation.name, folder))
            if job:
                yield Progress(job=job, what="starting the job at every hospital", done=0, total=0)
            self._line = yield from in_thread(door.wait, PATIENCE_SECONDS, door.close)
        self._sites = yield from self._listed()
        yield from self._join(job)
        if self._line is None:
            raise FederationError("the job broke while hospitals joined.", where=self._federation.name, hint=LOG)

    def _listed(self) -> Generator[None, None, tuple[str, ...]]:
        until = time.monotonic() + PATIENCE_SECONDS
        with suppress(EOFError, OSError):
            while time.monotonic() < until:
                message = self._require().receive(BEAT)
                if isinstance(message, Sites):
                    return message.names
                yield None
        self._drop()
        raise FederationError("the job did not come up.", where=self._federation.name, hint=LOG)

    def _join(self, job: str) -> Opening:
        """Everybody reads its data and loads its model. Those who cannot, or have not the same, are out, with the reason."""
        self._out.clear()
        self._there.clear()
        payload = wire.pack(self._invitation)
        for item in self._put("join", lambda name: payload, self._sites, JOIN_SECONDS):
            if not isinstance(item, Answer):
                yield None
                continue
            header = answers.header(item)
            if not isinstance(header, wire.Joined):
                self._out[item.site] = answers.lost(item, header)
            elif odd := differences(header, self._invitation):
                self._out[item.site] = Lost(item.site, "refused", f"it has {', '.join(odd)}")
            else:
                self._there[item.site]["given"] = header.start
                self._infos[item.site] = msgspec.structs.replace(header.info, name=item.site)
                if job:
                    yield Progress(job=job, what=f"{item.site} has joined", done=0, total=0)
