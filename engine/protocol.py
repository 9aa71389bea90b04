"""What the screen and the engine say to each other: one JSON object a line, typed, tagged and versioned.

Commands go down to the engine's standard input as `{"v": 1, "command": {"type": "StartRun", …}}`.
Events come back as `{"v": 1, "seq": 12, "time": 1764000000.0, "event": {"type": "StepDone", …}}`. The run's events are also its
record: `events.jsonl` in the run folder holds the same lines, and `fedmed_tui.state` rebuilds every screen from them.

`seq` counts up by one within one engine process or one `events.jsonl`; `time` is Unix time in seconds. Losses are mean negative
log-likelihood in nats per answer token. This module imports no tensor library.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from engine import strict_json
from engine.aggregation_messages import (
    Aggregated,
    Candidate,
    HospitalWeight,
    JudgingCost,
    Reason,
    SliceUse,
    Transfer,
    WhatIf,
    WhatIfEvaluated,
    WhatIfLoss,
)
from engine.benchmark_messages import (
    BenchmarkFinished,
    BenchmarkProgress,
    BenchmarkStarted,
    PlannedItem,
    RunBenchmark,
    SuiteMeasured,
    TrafficCounted,
)
from engine.chat_messages import (
    DISCLAIMER,
    FIXED_DISCLAIMER,
    SYSTEM_PROMPT,
    Asking,
    Chat,
    ChatFinished,
    ChatText,
    ChatTurn,
    Compare,
    Guarded,
    ReferenceScored,
    Role,
    RouterHinted,
)
from engine.data_messages import (
    LENGTH_BIN,
    REFERENCE_SIZES,
    BrowsedPair,
    BrowsePairs,
    CheckOverlap,
    CompareHospitals,
    DataReported,
    DescribeData,
    FieldMapping,
    HospitalCharacter,
    HospitalsCompared,
    ImportData,
    ImportFinished,
    NearPair,
    OverlapCell,
    OverlapMeasured,
    PairExample,
    PairsPage,
    PartitionData,
    PartitionDescribed,
    PhiFinding,
    PhiScanned,
    PreviewSource,
    Reject,
    RejectsFound,
    ReportData,
    ScanPhi,
    SketchesWritten,
    SketchPairs,
    SourceOptions,
    SourcePreviewed,
    SplitLeak,
    Strategy,
)
from engine.errors import ProtocolError
from engine.federation_messages import (
    DEFAULT_PORT,
    CreateFederation,
    DescribeFederation,
    FederationBroke,
    FederationCreated,
    FederationDescribed,
    Kit,
    ServeFederation,
)
from engine.messages import Command, Count, Event, Figure, Moment, Round
from engine.settings import Device, RunConfig

VERSION = 1
MAX_LINE_BYTES = 16 * 1024 * 1024

GLOBAL = "global"
BASE = "base"
"""Adapter names beside the hospitals' own: the shared adapter, and the base model with none."""

Outcome = Literal["done", "cancelled", "failed"]
Ending = Literal["done", "cancelled", "failed", "paused"]
"""How a stretch of work on a run ended; `paused`: too few hospitals took part in a round."""
Stage = Literal["base", "local", "global"]
Duty = Literal["joining", "training", "evaluation", "judging"]
Fault = Literal["raised", "late", "gone", "refused", "damaged", "unchanged", "too long", "copied", "stale"]
"""Why a hospital is left out: an exception ended its work; it missed the deadline; its process or connection is gone; its policy
forbids what was asked, or it has another model; what it sent is not finite or does not fit; it trained nothing; its update is far
too long, another's, or of another round."""


# --- commands: screen → engine -------------------------------------------------------------------------------------------------


class Hello(Command, frozen=True, kw_only=True):
    """First line of a session: the engine refuses a screen of another protocol version."""

    protocol: int = VERSION
    attached: bool = True
    """A screen is attached: leave one core free for it."""


class LoadModel(Command, frozen=True, kw_only=True):
    """Load the base model before anything needs it."""

    job: str
    config: RunConfig


class StartRun(Command, frozen=True, kw_only=True):
    """Start a new run in the folder `run` under `output-models/`; it must not exist."""

    job: str
    run: str
    config: RunConfig


class ResumeRun(Command, frozen=True, kw_only=True):
    """Go on with a run from its last complete round."""

    job: str
    run: str
    rounds: Annotated[int, Meta(ge=0, le=10_000)] = 0
    """Rounds it shall take in all; 0 keeps what it was begun with."""
    device: Device | None = None
    """Where to compute from now on; None keeps what it was begun with."""
    quorum: Annotated[int, Meta(ge=0)] | None = None
    """Hospitals that a round needs from now on, as `federation.quorum` says; None keeps what it was begun with."""
    deadline_s: Annotated[float, Meta(ge=0)] | None = None
    """Seconds of work after which a hospital is left out from now on; None keeps what it was begun with."""


class Attend(Command, frozen=True, kw_only=True):
    """A hospital of a federation answers one call of the coordinator, in its own engine."""

    job: str
    hospital: str
    method: str
    request: str
    """File with the message (see `engine.federated.flare.wire`)."""
    answer: str
    """File to write the answer to."""
    kit: str
    """Folder with the hospital's certificate and policy."""
    data: str
    """Its partition, or the folder that holds it."""


class Cancel(Command, frozen=True, kw_only=True):
    """Stop a job at its next micro-step, token or item."""

    job: str


class Shutdown(Command, frozen=True, kw_only=True):
    """Cancel everything and exit with code 0."""


AnyCommand = (
    Hello
    | DescribeData
    | PreviewSource
    | ImportData
    | PartitionData
    | CompareHospitals
    | CheckOverlap
    | SketchPairs
    | ScanPhi
    | ReportData
    | BrowsePairs
    | LoadModel
    | StartRun
    | ResumeRun
    | Attend
    | CreateFederation
    | ServeFederation
    | DescribeFederation
    | WhatIf
    | Chat
    | Compare
    | RunBenchmark
    | Cancel
    | Shutdown
)


# --- events: engine → screen ---------------------------------------------------------------------------------------------------


class EngineReady(Event, frozen=True, kw_only=True):
    """The process is up and reads commands. Nothing heavy is loaded yet."""

    protocol: int
    pid: int
    version: str
    log: str


class Progress(Event, frozen=True, kw_only=True):
    """How far a piece of work outside training has come. May be dropped."""

    job: str
    what: str
    done: int
    total: int
    """0 when unknown."""


class ModelLoaded(Event, frozen=True, kw_only=True):
    """The base model is in memory."""

    name: str
    source: str
    digest: str
    """SHA-256 over the files or tensors that define the weights: hospitals of one federation must agree on it."""
    quantization: str
    """In words: `4-bit weights, fp32 compute`."""
    device: str
    threads: Count
    parameters: Count
    trainable: Count
    base_bytes: Count
    """In memory."""
    adapter_bytes: Count
    seconds: Figure
    stored_bytes: Count = 0
    """The base model's files on disk; 0 when unknown."""


class Resources(Event, frozen=True, kw_only=True):
    """What the engine process uses now. May be dropped."""

    memory_bytes: int
    gpu_bytes: int = 0


class HospitalInfo(Struct, frozen=True, kw_only=True):
    """A hospital as it enters a run. Counts are pairs."""

    name: str
    train: Count
    validation: Count
    test: Count


class RunStarted(Event, frozen=True, kw_only=True):
    """A run begins, or goes on after `completed` rounds."""

    run: str
    config: RunConfig
    hospitals: tuple[HospitalInfo, ...]
    completed: Round = 0


class RoundStarted(Event, frozen=True, kw_only=True):
    """Hospitals train from the same global adapter. Rounds count from 1; 0 is the base model's evaluation."""

    round: Round
    rounds: Round
    drawn: tuple[str, ...] = ()
    """Those that train in it, where only a part of the hospitals does; the others rest. Empty is everybody."""


class TrainingStarted(Event, frozen=True, kw_only=True):
    """A hospital begins its local training."""

    round: Round
    hospital: str
    steps: Count


class StepDone(Event, frozen=True, kw_only=True):
    """One optimizer step of local training. May be dropped."""

    round: Round
    hospital: str
    step: Count
    steps: Count
    loss: Figure
    tokens: Count
    """Tokens processed since the hospital's training began."""
    seconds: Figure
    """Time spent in training since it began, without time given to chat."""


class UpdateReceived(Event, frozen=True, kw_only=True):
    """A hospital returned its update. Nothing else of it reached the coordinator."""

    round: Round
    hospital: str
    pairs: Count
    steps: Count
    loss: Figure
    """Mean training loss over the round's steps."""
    variance: Figure
    """Variance of the training loss over the round's steps."""
    bytes: Count
    tokens: Count
    seconds: Figure


class HospitalLost(Event, frozen=True, kw_only=True):
    """A hospital is left out of the rest of a round's training, evaluation or judging. It is asked again the next time.

    Joining is before the first round, and counts as round 0: the run does not begin without it.
    """

    round: Round
    hospital: str
    during: Duty
    kind: Fault
    reason: str
    """A sentence part from a closed list, made by this program: never text that a hospital wrote."""


class RoundSetAside(Event, frozen=True, kw_only=True):
    """A damaged checkpoint was renamed; the run goes on from the one before."""

    round: Round
    name: str
    """Its folder's new name."""
    reason: str


class Evaluated(Event, frozen=True, kw_only=True):
    """Loss on a hospital's validation pairs: of the base model, its own adapter before aggregation, or the global one after."""

    round: Round
    hospital: str
    stage: Stage
    loss: Figure
    pairs: Count
    tokens: Count


class RoundFinished(Event, frozen=True, kw_only=True):
    """The round's global adapter is safely on disk."""

    round: Round
    rounds: Round
    before: Figure
    """Macro mean over hospitals of the validation loss with the previous global adapter."""
    after: Figure
    """The same with the new one."""
    seconds: Figure


class RunFinished(Event, frozen=True, kw_only=True):
    """All rounds are done, or the run was stopped and can be resumed."""

    run: str
    outcome: Ending
    completed: Round
    rounds: Round
    folder: str
    seconds: Figure
    """Time in rounds, all sessions together."""


class Failure(Event, frozen=True, kw_only=True):
    """Something went wrong; the engine is still up."""

    job: str
    title: str
    message: str
    where: str
    hint: str


class JobFinished(Event, frozen=True, kw_only=True):
    """A job ended. Always the last event of a job."""

    job: str
    outcome: Outcome


DROPPABLE = (Progress, StepDone, Resources, BenchmarkProgress)
"""May be left out when they come faster than 10 a second."""

RECORDED = (
    ModelLoaded,
    RunStarted,
    RoundStarted,
    TrainingStarted,
    StepDone,
    UpdateReceived,
    HospitalLost,
    Evaluated,
    Aggregated,
    TrafficCounted,
    RoundFinished,
    RoundSetAside,
    FederationBroke,
    RunFinished,
)
"""Belong to the run and are written to its `events.jsonl`."""

AnyEvent = (
    EngineReady
    | Progress
    | ModelLoaded
    | Resources
    | PartitionDescribed
    | SourcePreviewed
    | RejectsFound
    | ImportFinished
    | HospitalsCompared
    | OverlapMeasured
    | SketchesWritten
    | PhiScanned
    | DataReported
    | PairsPage
    | FederationBroke
    | FederationCreated
    | FederationDescribed
    | RunStarted
    | RoundStarted
    | TrainingStarted
    | StepDone
    | UpdateReceived
    | HospitalLost
    | Evaluated
    | Aggregated
    | WhatIfEvaluated
    | RoundFinished
    | RoundSetAside
    | RunFinished
    | Guarded
    | ChatText
    | ChatFinished
    | ReferenceScored
    | RouterHinted
    | TrafficCounted
    | BenchmarkStarted
    | BenchmarkProgress
    | SuiteMeasured
    | BenchmarkFinished
    | Failure
    | JobFinished
)


# --- lines ---------------------------------------------------------------------------------------------------------------------


class CommandLine(Struct, frozen=True, kw_only=True):
    """The envelope of a command."""

    command: AnyCommand
    v: int = VERSION


class _Addressed(Struct, frozen=True, kw_only=True):
    """As much of a command's envelope as says whose it is."""

    job: str = ""


class _AddressedLine(Struct, frozen=True, kw_only=True):
    command: _Addressed


class Stamped(Struct, frozen=True, kw_only=True):
    """The envelope of an event: what, in which order, when."""

    seq: int
    time: Moment
    event: AnyEvent
    v: int = VERSION


T = TypeVar("T", CommandLine, Stamped)

_encoder = msgspec.json.Encoder()
_command_decoder = msgspec.json.Decoder(CommandLine)
_address_decoder = msgspec.json.Decoder(_AddressedLine)
_event_decoder = msgspec.json.Decoder(Stamped)


def encode_command(command: AnyCommand) -> bytes:
    """One line, with its newline."""
    return _encoder.encode(CommandLine(command=command)) + b"\n"


def encode_event(stamped: Stamped) -> bytes:
    """One line, with its newline."""
    return _encoder.encode(stamped) + b"\n"


def decode_command(line: bytes) -> AnyCommand:
    """Raises ProtocolError for anything but one command of this version."""
    envelope = _decode(_command_decoder, line)
    return envelope.command


def job_of(line: bytes) -> str:
    """Whose command a line is that `decode_command` refuses; empty when that cannot be told."""
    try:
        return _address_decoder.decode(line).command.job
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def decode_event(line: bytes) -> Stamped:
    """Raises ProtocolError for anything but one event of this version."""
    return _decode(_event_decoder, line)


def _decode(decoder: msgspec.json.Decoder[T], line: bytes) -> T:
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError(f"a line of {len(line):,} bytes is longer than the protocol allows.")
    try:
        envelope = strict_json.decode(line, decoder)
    except ValueError as error:
        raise ProtocolError(f"not a line of this protocol: {error}.") from None
    if envelope.v != VERSION:
        raise ProtocolError(
            f"the line has protocol version {envelope.v}, this program speaks {VERSION}.",
            hint="Use the same version of fedmed-tui on both sides.",
        )
    return envelope
