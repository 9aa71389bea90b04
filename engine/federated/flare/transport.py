"""The coordinator's transport over NVFlare: one job a run, one call a question, answers as they come.

A job that breaks (a site's job process died, the server was restarted) loses the answers that were still out; the next question
submits a new job with whoever is connected. A hospital that came back is taken in again at the start of a round.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.errors import ProtocolError
from engine.federated.flare import wire
from engine.federated.flare.channel import Answer, Call, Door, Halt, Line, News, Sites
from engine.federated.flare.kits import Federation, FederationError, nvflare
from engine.federated.flare.worker import differences
from engine.federated.transport import Assessing, Evaluating, Training
from engine.federated.update import Assessment, Assignment, Evaluation, Lost, Update, Verdict
from engine.model.adapters import Adapter
from engine.protocol import AnyEvent, Fault, HospitalInfo, Progress, StepDone, TrainingStarted, decode_event

PATIENCE_SECONDS = 120.0
"""For a submitted job to come up at every site."""
JOIN_SECONDS = 1800.0
"""For a hospital to read its data and load its model."""
NO_LIMIT_SECONDS = 7 * 24 * 3600.0
BEAT = 0.02
REFUSALS: dict[wire.Rule, str] = {
    "run": "its policy does not accept this run",
    "aggregation": "its policy does not accept this aggregator",
    "pairs": "it holds fewer pairs than its policy asks for",
    "steps": "its policy allows fewer local steps",
    "base model": "its policy allows another base model only",
    "quantization": "its policy allows another precision only",
    "adapter": "its policy does not let other hospitals see its adapter",
    "tokenizer": "its policy allows another tokenizer only",
    "protocol": "it speaks another protocol version",
    "not joined": "it has not joined the run",
    "report": "its policy does not let it report this",
}

Opening = Generator[AnyEvent | None, None, None]
Answers = Generator[Answer | News | None, None, None]


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
        self._refused: dict[str, str] = {}
        self._carrying = 0.0

    def open(self, job: str) -> Opening:
        """Submit the job and let everybody join. Raises FederationError when somebody is missing, or has something else."""
        yield from self._submit(job)
        missing = [name for name in self._names if name not in self._infos]
        if missing:
            why = "; ".join(f"{name}: {self._refused.get(name, 'it is not connected')}" for name in missing)
            raise FederationError(
                f"not every hospital can begin: {why}.",
                where=self._federation.name,
                hint="`fedmed-tui hospital start KIT --data FOLDER`, on its machine, connects one.",
            )

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

    # --- Transport -------------------------------------------------------------------------------------------------------------

    def hospitals(self) -> tuple[HospitalInfo, ...]:
        """Who takes part, sorted by name."""
        return tuple(self._infos[name] for name in self._names)

    def train(self, assignment: Assignment) -> Training:
        """All hospitals at once."""
        yield from self._take_in()
        header = wire.Train(round=assignment.round, trains=assignment.trains, held=assignment.held)
        plain = wire.pack(header, {"start": assignment.start})
        payloads = {
            name: wire.pack(header, {"start": assignment.start, "correction": assignment.corrections[name]})
            if name in assignment.corrections
            else plain
            for name in self._names
        }
        for item in self._ask("train", payloads):
            if isinstance(item, News):
                yield _news(item, assignment.round)
            elif item is None:
                yield None
            else:
                yield _update(item)

    def evaluate(self, adapters: Mapping[str, Adapter]) -> Evaluating:
        """All named hospitals at once."""
        packed: dict[int, bytes] = {}  # the same adapter for everybody is packed once
        for adapter in adapters.values():
            if id(adapter) not in packed:
                packed[id(adapter)] = wire.pack(wire.Evaluate(), {"adapter": adapter})
        for item in self._ask("evaluate", {name: packed[id(adapter)] for name, adapter in adapters.items()}):
            if not isinstance(item, News):
                yield None if item is None else _evaluation(item)

    def assess(self, assessment: Assessment) -> Assessing:
        """All voters at once."""
        groups = {f"{place:04d}": adapter for place, adapter in enumerate(assessment.adapters)}
        payloads = {
            voter: wire.pack(
                wire.Assess(
                    round=assessment.round,
                    vectors=assessment.vectors,
                    part=assessment.part,
                    pairs=assessment.pairs,
                    tokens=tokens,
                    slopes=assessment.slopes,
                ),
                groups,
            )
            for voter, tokens in assessment.tokens.items()
        }
        for item in self._ask("assess", payloads):
            if not isinstance(item, News):
                yield None if item is None else _verdict(item)

    # --- calls -----------------------------------------------------------------------------------------------------------------

    def _ask(self, method: str, payloads: Mapping[str, bytes], seconds: float = 0.0) -> Answers:
        """An `Answer` for each named hospital, in the order of arrival."""
        seconds = seconds or self._seconds
        waiting = {name for name in payloads if name in self._sites and name not in self._refused}
        for name in sorted(set(payloads) - waiting):
            fault = "refused" if name in self._refused else "gone"
            yield Answer(number=0, site=name, fault=fault, reason=self._refused.get(name, "it is not connected"))
        number, started, longest = next(self._numbers), time.monotonic(), 0.0
        try:
            for payload, names in _same(payloads, waiting):
                self._require().send(Call(number=number, method=method, sites=names, payload=payload, seconds=seconds))
            while waiting:
                message = self._require().receive(BEAT)
                if isinstance(message, Answer) and message.number == number and message.site in waiting:
                    waiting.discard(message.site)
                    longest = max(longest, message.seconds)
                    if not waiting:
                        self._carrying += max(0.0, time.monotonic() - started - longest)
                    yield message
                elif message is None or isinstance(message, News):
                    yield message
        except (EOFError, OSError):
            self._drop()
            for name in sorted(waiting):
                yield Answer(number=number, site=name, fault="gone", reason="the connection to the federation broke")

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
        if away and (self._line is None or away & set((yield from _in_thread(self._connected)))):
            self.close()
            with suppress(FederationError):  # then everybody is lost in this round, and the quorum decides
                yield from self._submit("")

    def _connected(self) -> list[str]:
        runtime = nvflare()

        try:
            return list(runtime.look(self._federation.kit("operator"), self._federation.name)[0])
        except Exception:
            return []

    def _submit(self, job: str) -> Opening:
        """A job with every named hospital that is connected, and their joining."""
        runtime = nvflare()

        self._drop()
        if job:
            yield Progress(job=job, what=f"looking for the hospitals of {self._federation.name}", done=0, total=0)
        connected = yield from _in_thread(self._connected)
        present = [name for name in self._names if name in connected]
        if not present:
            raise FederationError(
                "no hospital is connected.", where=self._federation.name, hint="`fedmed-tui federation status` says who is."
            )
        with Door() as door, tempfile.TemporaryDirectory() as work:
            folder = runtime.write_job(Path(work), self._invitation.run, present, door.folder)
            yield from _in_thread(lambda: runtime.submit(self._federation.kit("operator"), self._federation.name, folder))
            if job:
                yield Progress(job=job, what="starting the job at every hospital", done=0, total=0)
            self._line = yield from _in_thread(door.wait, PATIENCE_SECONDS, door.close)
        self._sites = yield from self._listed()
        yield from self._join(job)

    def _listed(self) -> Generator[None, None, tuple[str, ...]]:
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            message = self._require().receive(BEAT)
            if isinstance(message, Sites):
                return message.names
            yield None
        raise FederationError("the job did not come up.", where=self._federation.name, hint="See the server's log.")

    def _join(self, job: str) -> Opening:
        """Everybody reads its data and loads its model, and has the same. Raises FederationError naming who has not, and what."""
        self._refused.clear()
        payload, odd = wire.pack(self._invitation), []
        for item in self._ask("join", dict.fromkeys(self._sites, payload), JOIN_SECONDS):
            if not isinstance(item, Answer):
                yield None
                continue
            header = _header(item)
            if not isinstance(header, wire.Joined):
                self._refused[item.site] = _lost(item, header).reason
                continue
            odd += [f"hospital {item.site} has {difference}" for difference in differences(header, self._invitation)]
            self._infos[item.site] = msgspec.structs.replace(header.info, name=item.site)
            if job:
                yield Progress(job=job, what=f"{item.site} has joined", done=0, total=0)
        if odd:
            raise FederationError(
                f"{'; '.join(sorted(odd))}.", where=self._federation.name, hint="All must use the same base model and version."
            )


T = TypeVar("T")


def _in_thread(
    work: Callable[[], T], seconds: float = PATIENCE_SECONDS, give_up: Callable[[], None] = lambda: None
) -> Generator[None, None, T]:
    """The result of something that blocks, with pauses in between. Raises FederationError when it takes too long."""
    with ThreadPoolExecutor(1, thread_name_prefix="federation") as pool:
        future, until = pool.submit(work), time.monotonic() + seconds
        try:
            while not future.done():
                if time.monotonic() > until:
                    raise FederationError(
                        f"no answer in {seconds:g} s.", where="federation", hint="See `fedmed-tui federation status`."
                    )
                wait([future], BEAT)
                yield None
        finally:
            if not future.done():
                give_up()
        return future.result()


def _same(payloads: Mapping[str, bytes], names: set[str]) -> list[tuple[bytes, tuple[str, ...]]]:
    """Payloads with the hospitals that get the same one."""
    groups: dict[int, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(id(payloads[name]), []).append(name)
    return [(payloads[same[0]], tuple(same)) for same in groups.values()]


# --- answers -------------------------------------------------------------------------------------------------------------------


def _header(answer: Answer) -> wire.Header | None:
    return _opened(answer)[0] if not answer.fault else None


def _opened(answer: Answer) -> tuple[wire.Header | None, wire.Groups]:
    """What is in an answer; nothing where it is none of the protocol's."""
    try:
        return wire.unpack(answer.payload, where=answer.site) if not answer.fault else (None, {})
    except ProtocolError:
        return None, {}


def _lost(answer: Answer, header: wire.Header | None) -> Lost:
    if answer.fault:
        return Lost(answer.site, msgspec.convert(answer.fault, type=Fault), answer.reason)
    if isinstance(header, wire.Refused):
        return Lost(answer.site, "refused", REFUSALS[header.rule])
    if isinstance(header, wire.Broken) and header.name.isidentifier() and len(header.name) <= 60:
        return Lost(answer.site, "raised", f"an error ended its work ({header.name})")
    return Lost(answer.site, "damaged", "its answer is none of this protocol")


def _update(answer: Answer) -> Update | Lost:
    header, groups = _opened(answer)
    if not isinstance(header, wire.Trained):
        return _lost(answer, header)
    return Update(
        hospital=answer.site,
        adapter=groups.get("adapter", {}),
        pairs=header.pairs,
        steps=header.steps,
        loss=header.loss,
        variance=header.variance,
        tokens=header.tokens,
        seconds=header.seconds,
        round=header.round,
        gradient=groups.get("gradient", {}),
    )


def _evaluation(answer: Answer) -> Evaluation | Lost:
    header, _ = _opened(answer)
    if not isinstance(header, wire.Measured):
        return _lost(answer, header)
    return Evaluation(answer.site, header.loss, header.pairs, header.tokens)


def _verdict(answer: Answer) -> Verdict | Lost:
    header, _ = _opened(answer)
    if not isinstance(header, wire.Judged):
        return _lost(answer, header)
    return Verdict(voter=answer.site, **msgspec.structs.asdict(header))


def _news(news: News, number: int) -> TrainingStarted | StepDone | None:
    """A hospital's progress, where it speaks of itself and of this round."""
    try:
        event = decode_event(news.payload).event
    except ProtocolError:
        return None
    mine = isinstance(event, TrainingStarted | StepDone) and event.hospital == news.site and event.round == number
    return event if mine and isinstance(event, TrainingStarted | StepDone) else None
