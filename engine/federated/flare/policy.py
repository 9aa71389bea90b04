"""What a hospital allows, whatever a coordinator asks: a TOML file in its kit, enforced in its own engine process.

# KIT/local/policy.toml
runs = ["asthma-*"]            # names of runs it takes part in
weightings = ["agent", "equal"]
min_pairs = 500
max_steps = 200
"""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from engine import toml
from engine.errors import FedMedError, SettingsError
from engine.settings import RunConfig, Weighting

if TYPE_CHECKING:  # a kit is made without a tensor library
    from engine.federated.flare.wire import Joined
    from engine.model.adapters import Adapter

FILE = "policy.toml"
JUDGED = ("agent", "fedlaw")
"""Weightings that show each hospital's adapter to the others, unless the coordinator judges on public pairs."""
Rule = Literal[
    "run",
    "aggregation",
    "pairs",
    "steps",
    "base model",
    "hub model",
    "quantization",
    "adapter",
    "tokenizer",
    "protocol",
    "not joined",
    "report",
]
"""Why a hospital refuses: the name travels, each side has its own words for it."""
Scalar = Literal["progress", "validation", "judging", "seconds"]

TEMPLATE = """\
# What this hospital allows, whatever a coordinator asks. It is read anew for every run, on this machine, and never sent.
# Every line shows the default; take the # off and change it.

# runs = ["*"]                 # names of runs it takes part in; * stands for anything
# weightings = []              # aggregators it accepts; [] is all: agent, equal, samples, inverse-loss, ...
# min_pairs = 0                # it does not take part with fewer training pairs than this
# max_steps = 0                # most optimizer steps in one round; 0 is no limit
# reports = ["progress", "validation", "judging", "seconds"]
#                              # progress: loss of each step; validation: loss of adapters on its validation pairs;
#                              # judging: how candidates do on them; seconds: how long its work took
# decimals = 17                # decimals of every loss that it reports
# clip_norm = 0.0              # longest way (L2) its adapter may move in a round: a longer one is shortened; 0 is no limit
# base_model = ""              # SHA-256 of the only base model that it trains; "" is any of those that it can load
# hub_models = []              # base models that it fetches from the model hub when a run names them, with *; [] is none:
#                              # the bundled model, a folder on this machine, or what --model says
# quantization = ""            # the only precision, in words: "4-bit weights, fp32 compute"
# show_adapter = true          # its adapter may be shown to other hospitals, to be judged by them
"""


class PolicyError(FedMedError):
    """The hospital's policy forbids what was asked."""

    title = "Policy"

    def __init__(self, rule: Rule) -> None:
        super().__init__(f"this hospital's policy does not allow it: {rule}.")
        self.rule: Rule = rule


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See `TEMPLATE`."""

    runs: tuple[str, ...] = ("*",)
    weightings: tuple[Weighting, ...] = ()
    min_pairs: Annotated[int, Meta(ge=0)] = 0
    max_steps: Annotated[int, Meta(ge=0)] = 0
    reports: tuple[Scalar, ...] = ("progress", "validation", "judging", "seconds")
    decimals: Annotated[int, Meta(ge=0, le=17)] = 17
    clip_norm: Annotated[float, Meta(ge=0)] = 0.0
    base_model: str = ""
    hub_models: tuple[str, ...] = ()
    quantization: str = ""
    show_adapter: bool = True

    def check_run(self, run: str, config: RunConfig) -> None:
        """Before anything is loaded. Raises PolicyError."""
        rules = config.aggregation
        if not any(fnmatchcase(run, pattern) for pattern in self.runs):
            raise PolicyError("run")
        if self.weightings and rules.weighting not in self.weightings:
            raise PolicyError("aggregation")
        if not self.show_adapter and rules.weighting in JUDGED and rules.trust == "hospitals":
            raise PolicyError("adapter")

    def check_fetch(self, hub_model: str) -> None:
        """Before a run has it fetch a base model. Raises PolicyError."""
        if not any(fnmatchcase(hub_model, pattern) for pattern in self.hub_models):
            raise PolicyError("hub model")

    def check_join(self, joined: Joined, steps: int) -> None:
        """With the data read and the model loaded. Raises PolicyError."""
        if joined.info.train < self.min_pairs:
            raise PolicyError("pairs")
        if self.max_steps and steps > self.max_steps:
            raise PolicyError("steps")
        if self.base_model and self.base_model != joined.digest:
            raise PolicyError("base model")
        if self.quantization and self.quantization != joined.quantization:
            raise PolicyError("quantization")

    def require(self, scalar: Scalar) -> None:
        """Raises PolicyError when it does not report this."""
        if scalar not in self.reports:
            raise PolicyError("report")

    def told(self, seconds: float) -> float:
        """As they leave the hospital: 0 where it does not report them."""
        return seconds if "seconds" in self.reports else 0.0

    def rounded(self, loss: float) -> float:
        """As it leaves the hospital."""
        return round(loss, self.decimals) if self.decimals < 17 else loss

    def rounded_up(self, error: float) -> float:
        """The error of a figure that is rounded too: no less than what rounding may have changed, unless there is none at all."""
        shift = 10.0**self.decimals
        return round(math.ceil(error * shift) / shift, self.decimals) if self.decimals < 17 else error

    def clipped(self, adapter: Adapter, start: Adapter) -> Adapter:
        """The adapter, no further from the start than allowed."""
        if not self.clip_norm:
            return adapter
        begun = {name: start[name][tuple(slice(size) for size in tensor.shape)] for name, tensor in adapter.items()}
        moved = math.sqrt(sum(float((tensor - begun[name]).double().square().sum()) for name, tensor in adapter.items()))
        share = min(1.0, self.clip_norm / moved) if moved else 1.0
        return {name: begun[name] + (tensor - begun[name]) * share for name, tensor in adapter.items()}


def read_policy(kit: Path) -> Policy:
    """The policy in a kit; the defaults when there is no file. Raises SettingsError naming the line."""
    path = kit / "local" / FILE
    try:
        return msgspec.convert(toml.read(path), Policy)
    except FileNotFoundError:
        return Policy()
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"is not a policy: {error}.", where=str(path), hint="Each line of a fresh kit's file shows the default."
        ) from None
