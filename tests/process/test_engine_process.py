"""The engine as a process: it keeps its protocol clean, obeys, survives errors, and goes away when it should."""

from __future__ import annotations

import asyncio
import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine import locations
from engine.protocol import (
    BASE,
    MAX_LINE_BYTES,
    Chat,
    ChatFinished,
    ChatText,
    ChatTurn,
    DescribeData,
    EngineReady,
    Failure,
    JobFinished,
    PartitionDescribed,
    ResumeRun,
    RunBenchmark,
    RunFinished,
    Stamped,
    StartRun,
    StepDone,
    UpdateReceived,
    encode_command,
    encode_event,
)
from engine.settings import LoraSettings, RunConfig
from fedmed_tui import engine_client
from fedmed_tui.engine_client import EngineClient
from tests.process.conftest import engine, tiny_config


@pytest.fixture
def config(tiny_model: Path) -> RunConfig:
    return tiny_config(tiny_model)


async def test_it_says_ready_and_ends_on_request(home: Path) -> None:
    async with engine() as driver:
        ready = await driver.until(EngineReady)
        assert ready.pid == driver.client.pid

    assert driver.exit is not None and driver.exit.code == 0 and driver.exit.expected


async def test_data_is_described_hospital_by_hospital(home: Path) -> None:
    async with engine() as driver:
        driver.client.send(DescribeData(job="data", folder="sample", examples=2))
        await driver.until(JobFinished)

    described = driver.all(PartitionDescribed)
    assert [partition.hospital for partition in described] == ["A", "B", "C"]
    assert all(len(partition.examples) == 2 for partition in described)


async def test_a_chat_is_answered_between_two_training_steps(home: Path, config: RunConfig) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="r", config=config))
        await driver.until(UpdateReceived, lambda update: update.hospital == "A")
        question = ChatTurn(role="user", text="What is asthma?")
        driver.client.send(Chat(job="chat", adapter="A", turns=(question,), max_tokens=8))
        answer = await driver.until(ChatFinished)
        await driver.until(RunFinished)

    kinds = [type(event) for event in driver.events]
    assert answer.tokens > 0 and not answer.stopped and answer.note == ""
    assert kinds.index(StepDone) < kinds.index(ChatText) < len(kinds) - 1 - kinds[::-1].index(StepDone)
    assert driver.all(RunFinished)[0].outcome == "done"


async def test_stopping_a_run_keeps_it_resumable_and_the_engine_up(home: Path, config: RunConfig) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="r", config=config))
        await driver.until(UpdateReceived, lambda update: update.round == 2)
        await driver.client.cancel("run")
        driver.client.send(DescribeData(job="data"))
        await driver.until(JobFinished, lambda job: job.job == "data")

    finished = driver.all(RunFinished)[0]
    assert (finished.outcome, finished.completed) == ("cancelled", 1)
    assert json.loads((home / "output-models/r/manifest.json").read_text())["status"] == "cancelled"


async def test_the_engine_s_log_holds_no_text_of_a_question(home: Path, config: RunConfig) -> None:
    async with engine() as driver:
        for job, run, adapter in (("answered", "", BASE), ("refused", "nothing", "B")):
            question = ChatTurn(role="user", text="Has Mrs Zwetschge asthma?")
            driver.client.send(Chat(job=job, run=run, adapter=adapter, turns=(question,), config=config, max_tokens=8))
            await driver.until(JobFinished, lambda ended, job=job: ended.job == job, may_fail=True)

    assert [ended.outcome for ended in driver.all(JobFinished)] == ["done", "failed"]
    assert "Zwetschge" not in locations.log_file().read_text()


async def test_a_stopped_answer_keeps_what_was_said(home: Path, config: RunConfig) -> None:
    async with engine() as driver:
        question = ChatTurn(role="user", text="Tell me everything.")
        driver.client.send(Chat(job="chat", adapter=BASE, turns=(question,), config=config, max_tokens=400))
        await driver.until(ChatText)
        await driver.client.cancel("chat")

    answer = driver.all(ChatFinished)[0]
    assert answer.stopped and 0 < answer.tokens < 400
    assert driver.all(JobFinished)[0].outcome == "cancelled"


async def test_one_job_s_failure_is_told_with_its_mend_and_the_next_job_runs(home: Path) -> None:
    async with engine() as driver:
        driver.client.send(DescribeData(job="bad", folder="nowhere"))
        driver.client.send(DescribeData(job="good"))
        await driver.until(JobFinished, lambda job: job.job == "good", may_fail=True)

    failure = driver.all(Failure)[0]
    assert (failure.job, failure.title) == ("bad", "Data")
    assert "no such folder" in failure.message and failure.hint
    assert [job.outcome for job in driver.all(JobFinished)] == ["failed", "done"]


async def test_two_engines_cannot_work_on_one_run(home: Path, tiny_model: Path) -> None:
    async with engine() as first, engine() as second:
        first.client.send(StartRun(job="run", run="r", config=tiny_config(tiny_model, training__rounds=500)))
        await first.until(UpdateReceived)
        second.client.send(ResumeRun(job="run", run="r"))
        failure = await second.until(Failure)
        await first.client.cancel("run")

    assert "another engine is working on this run" in failure.message


async def test_a_killed_engine_is_explained_in_a_sentence(home: Path) -> None:
    async with engine() as driver:
        ready = await driver.until(EngineReady)
        os.kill(ready.pid, signal.SIGKILL)
        await driver.client.wait()

    assert driver.exit is not None and not driver.exit.expected
    assert "killed, probably because the machine ran out of memory" in driver.exit.sentence


async def test_a_job_whose_engine_dies_does_not_leave_cancel_waiting(home: Path, config: RunConfig) -> None:
    async with engine() as driver:
        driver.client.send(StartRun(job="run", run="r", config=config))
        await driver.until(StepDone)
        waiting = asyncio.create_task(driver.client.cancel("run"))
        os.kill(driver.client.pid or 0, signal.SIGKILL)

        await asyncio.wait_for(waiting, 60)


def speak(lines: bytes, home: Path) -> subprocess.CompletedProcess[bytes]:
    """Feed raw bytes to an engine and close its input."""
    return subprocess.run([sys.executable, "-m", "engine"], input=lines, capture_output=True, timeout=60, check=False)


def test_it_ends_when_the_screen_is_gone(home: Path) -> None:
    assert speak(b"", home).returncode == 0


def test_garbage_on_its_input_is_refused_and_the_engine_goes_on(home: Path) -> None:
    result = speak(b'garbage\n{"v":1,"command":{"type":"DescribeData","job":"data"}}\n', home)

    types = [json.loads(line)["event"]["type"] for line in result.stdout.splitlines()]
    assert "Failure" in types and types.count("JobFinished") == 1


@pytest.mark.parametrize(
    "command",
    [
        RunBenchmark(job="refused", run="r", seeds=101),
        StartRun(job="refused", run="r", config=RunConfig(lora=LoraSettings(alpha=math.inf))),
    ],
    ids=lambda command: type(command).__name__,
)
async def test_whoever_sent_a_command_that_is_refused_is_told(home: Path, command: RunBenchmark | StartRun) -> None:
    async with engine() as driver:
        driver.client.send(command)
        ended = await driver.until(JobFinished, may_fail=True)

    assert (ended.job, ended.outcome) == ("refused", "failed")
    assert [failure.job for failure in driver.all(Failure)] == ["refused"]


def test_a_line_that_is_too_long_is_answered_to_its_job(home: Path) -> None:
    long = encode_command(DescribeData(job="long", folder="x" * MAX_LINE_BYTES))

    said = [json.loads(line)["event"] for line in speak(long, home).stdout.splitlines()]

    assert {"type": "JobFinished", "job": "long", "outcome": "failed"} in said


async def test_when_nobody_can_tell_whose_command_was_refused_nobody_is_left_waiting(home: Path) -> None:
    unread = Failure(job="", title="Protocol", message="not a line of this protocol.", where="", hint="")
    answer = encode_event(Stamped(seq=1, time=0.0, event=unread)).decode()
    ended = asyncio.get_running_loop().create_future()
    deaf = (sys.executable, "-c", f"import sys; sys.stdin.readline(); print({answer!r}, flush=True); sys.stdin.read()")
    client = EngineClient(lambda stamped: None, ended.set_result, attached=False, argv=deaf)
    await client.start()
    client.send(DescribeData(job="data"))

    exit = await asyncio.wait_for(ended, 60)

    assert exit.sentence == "not a line of this protocol."


async def test_an_engine_that_trains_is_not_ended_to_stop_an_answer(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_client, "CANCEL_SECONDS", 0.05)
    deaf = (sys.executable, "-c", "import sys; sys.stdin.read()")
    client = EngineClient(lambda stamped: None, lambda ended: None, attached=False, argv=deaf)
    await client.start()
    client.send(StartRun(job="run", run="r", config=RunConfig()))
    client.send(DescribeData(job="data"))
    stopping = asyncio.create_task(client.cancel("data"))
    await asyncio.sleep(0.5)
    trained_on = client.running

    await client.cancel("run", at_any_price=True)
    await stopping

    assert trained_on and not client.running


def test_a_stray_print_cannot_reach_the_events(home: Path) -> None:
    noisy = "import os, sys, engine.__main__ as m\ne = m._private_stdout()\nprint('noise')\nos.system('echo noise')\n"
    code = noisy + "e.write(b'event\\n')\n"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)

    assert result.stdout == b"event\n"
    assert result.stderr.count(b"noise") == 2


def test_another_protocol_version_ends_the_session_in_words(home: Path) -> None:
    result = speak(b'{"v":1,"command":{"type":"Hello","protocol":99}}\n', home)

    failure = next(json.loads(line)["event"] for line in result.stdout.splitlines() if b"Failure" in line)
    assert "99" in failure["message"]
