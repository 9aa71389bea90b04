"""A question as a job: guardrails first, then the model's answer, token by token. Goes before training.

The guardrails need no model, so an emergency is met before anything heavy is even imported.
"""

from __future__ import annotations

import time

from engine.jobs.context import Engine
from engine.protocol import FIXED_DISCLAIMER, Chat, ChatFinished, ChatText, Compare, Guarded
from engine.safety.guardrails import Finding, check_question
from engine.scheduler import Job


def chat(engine: Engine, command: Chat | Compare) -> Job:
    """What was found in the question; then a fixed message, or each adapter's answer; `ChatFinished` once per adapter.

    Raises:
        ModelError, RunError: an adapter or its base model is not to be had.
    """
    asked = time.monotonic()
    adapters = (command.adapter,) if isinstance(command, Chat) else command.adapters
    findings = check_question(command.turns)
    for finding in findings:
        yield guarded(command.job, finding)
    fixed = next((finding for finding in findings if finding.action == "answered"), None)
    if fixed is None:
        from engine.jobs.answering import answer

        yield from answer(engine, command, adapters, asked)
        return
    for adapter in adapters:
        yield ChatText(job=command.job, adapter=adapter, text=fixed.message)
        seconds = time.monotonic() - asked
        yield ChatFinished(
            job=command.job,
            adapter=adapter,
            tokens=0,
            first_token_seconds=seconds,
            seconds=seconds,
            stopped=False,
            disclaimer=FIXED_DISCLAIMER,
        )


def guarded(job: str, finding: Finding, adapter: str = "") -> Guarded:
    """A finding as an event."""
    rule = finding.rule.data
    return Guarded(
        job=job,
        adapter=adapter,
        layer=rule.layer,
        rule=rule.id,
        title=rule.title,
        reason=rule.reason,
        source=rule.source,
        action=finding.action,
        message=finding.message,
        matched=finding.matched,
    )
