"""What a person can get wrong.

Each case is refused with one clear sentence that tells the place and the mend, exit code 2, and nothing that was saved is lost.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest

from fedmed_tui.cli import BAD_INPUT, DONE, main
from tests.cli.helpers import QUICK, TRAINED, edit_json

Arrange = Callable[[Path], list[str]]
"""Prepare the working folder, return the command's arguments."""

PAIR = {"id": "1", "question": "What is anaemia?", "answer": "Too little haemoglobin.", "topic": "anaemia", "split": "train"}


def settings_file(text: str) -> Arrange:
    """Train with a settings file of this text."""

    def arrange(home: Path) -> list[str]:
        (home / "my.toml").write_text(text)
        return ["train", "--config", str(home / "my.toml")]

    return arrange


def arguments(*words: str) -> Arrange:
    """No preparation."""
    return lambda home: list(words)


def partition(*lines: object, name: str = "hospital_A.jsonl") -> Arrange:
    """Train on a folder with one partition of these lines."""

    def arrange(home: Path) -> list[str]:
        (home / "mine").mkdir()
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        (home / "mine" / name).write_text(text)
        return ["train", "--data", "mine"]

    return arrange


def without(field: str) -> dict[str, str]:
    """A pair that lacks a field."""
    return {name: value for name, value in PAIR.items() if name != field}


def folder_as_settings(home: Path) -> list[str]:
    (home / "folder.toml").mkdir()
    return ["train", "--config", str(home / "folder.toml")]


def latin_settings(home: Path) -> list[str]:
    (home / "my.toml").write_bytes(b'[model]\nsource = "caf\xe9"\n')
    return ["train", "--config", str(home / "my.toml")]


def empty_model_folder(home: Path) -> list[str]:
    (home / "model").mkdir()
    return ["train", "--model", str(home / "model")]


WITHOUT_A_RUN: dict[str, tuple[Arrange, str, str]] = {
    # name: arrangement, the place and the mend that must be told
    "unknown command": (arguments("trian"), "trian", "--help"),
    "unknown option": (arguments("train", "--epochs", "3"), "--epochs", "--help"),
    "an option's value of the wrong type": (arguments("train", "--rounds", "three"), "--rounds", "--help"),
    "missing settings file": (arguments("train", "--config", "none.toml"), "none.toml", "Check the path"),
    "malformed TOML": (settings_file("[training\nrounds = 2"), "my.toml: is not valid TOML", "Mend that line"),
    "a folder as settings file": (folder_as_settings, "folder.toml", "Name a .toml file"),
    "settings in another encoding": (latin_settings, "my.toml", "Save it as UTF-8"),
    "unknown setting": (settings_file("[training]\nepochs = 3"), "my.toml: training: there is no setting `epochs`", "settings"),
    "unknown section": (settings_file("[optimizer]\nname = 'adam'"), "`optimizer`", "fedmed-tui settings"),
    "setting of the wrong type": (
        settings_file("seed = 'lucky'"),
        "my.toml: seed: expected a whole number, got text",
        "fedmed-tui settings",
    ),
    "setting out of range": (
        settings_file("[training]\nrounds = 0"),
        "training.rounds: expected a whole number >= 1",
        "settings",
    ),
    "a setting that is infinite": (arguments("train", "--set", "lora.alpha=inf"), "lora.alpha: inf", "Give a number"),
    "more seeds than a benchmark takes": (arguments("benchmark", "--seeds", "101"), "--seeds", "less than or equal to 100"),
    "setting outside its choices": (
        arguments("train", "--device", "tpu"),
        "model.device: not one of its choices: 'tpu'",
        "fedmed-tui settings",
    ),
    "unknown preset": (arguments("train", "--preset", "huge"), "there is no preset 'huge'", "demo, reference"),
    "unknown preset in the file": (settings_file("preset = 'huge'"), "there is no preset 'huge'", "demo, reference"),
    "--set without a value": (arguments("train", "--set", "seed"), "--set seed", "For example"),
    "--set of a section": (arguments("train", "--set", "training=5"), "training: expected a section", "fedmed-tui settings"),
    "--set below a setting": (arguments("train", "--set", "seed.x=5"), "'seed' is not a section", "fedmed-tui settings"),
    "a hospital named twice": (arguments("train", "--hospitals", "A,B,A"), "data.hospitals", "Name each once"),
    "an empty question": (arguments("chat", "--query", " "), "--query", "For example"),
    "settings together with --resume": (arguments("train", "--resume", "x", "--hospitals", "A"), "--resume", "start a new run"),
    "replay of an unknown run": (arguments("replay", "nothing"), "nothing", "fedmed-tui runs"),
    "resume of an unknown run": (arguments("train", "--resume", "nothing"), "nothing", "fedmed-tui runs"),
    "chat with an unknown run": (arguments("chat", "--run", "nothing", "--query", "x"), "nothing", "fedmed-tui runs"),
    "a run's name that climbs out": (arguments("train", "--run", "../x"), "../x", "Use up to 80 letters"),
    "a run's name that climbs out, for replay": (arguments("replay", "../../etc"), "../../etc", "Use up to 80 letters"),
    "missing data folder": (arguments("train", "--data", "nowhere"), "nowhere", "Check data.folder"),
    "a data folder without hospitals": (partition(PAIR, name="pairs.jsonl"), "mine", "hospital_A.jsonl"),
    "unknown hospital": (arguments("train", "--hospitals", "A,Z"), "there is no hospital 'Z'", "It holds: A, B, C"),
    "an empty partition": (partition(""), "hospital_A.jsonl: there are no pairs", "Add pairs"),
    "a pair without an answer": (
        partition(PAIR, without("answer")),
        "hospital_A.jsonl, line 2: there is no field 'answer'",
        "Rename",
    ),
    "a wrong field name": (partition(without("question") | {"frage": "?"}), "line 1: there is no field 'question'", "'frage'"),
    "a pair that is no JSON": (partition(PAIR, "{'id': 1}"), "hospital_A.jsonl, line 2: is not valid JSON", "one JSON object"),
    "a model folder that is not there": (arguments("train", "--model", "./model"), "model", "A model folder holds"),
    "a model folder that is no model": (empty_model_folder, "holds no config.json", "A model folder holds"),
    "a model name that is no name": (arguments("train", "--model", "what model?"), "what model?", "owner/name"),
}


def damaged_line(run: Path) -> list[str]:
    lines = (run / "events.jsonl").read_bytes().splitlines()
    lines[4] = b'{"v": 1, "seq": 5, "ti'
    (run / "events.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    return ["replay", TRAINED]


def events_of_a_later_version(run: Path) -> list[str]:
    text = (run / "events.jsonl").read_text()
    (run / "events.jsonl").write_text(text.replace('"v":1', '"v":2'))
    return ["replay", TRAINED]


def no_events(run: Path) -> list[str]:
    (run / "events.jsonl").unlink()
    return ["export", TRAINED]


def manifest_of_a_later_version(run: Path) -> list[str]:
    edit_json(run / "manifest.json", lambda manifest: manifest.update(schema=99))
    return ["chat", "--run", TRAINED, "--query", "x"]


def damaged_manifest(run: Path) -> list[str]:
    (run / "manifest.json").write_text('{"schema": 1, "run": ')
    return ["chat", "--run", TRAINED, "--query", "x"]


def damaged_adapter(run: Path) -> list[str]:
    weights = run / "hospital_B" / "final" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    return ["chat", "--run", TRAINED, "--hospital", "B", "--query", "What is anaemia?"]


def changed_settings(run: Path) -> list[str]:
    edit_json(run / "manifest.json", lambda manifest: manifest["config"]["training"].update(batch_size=3))
    return ["train", "--resume", TRAINED]


def no_manifest(run: Path) -> list[str]:
    (run / "manifest.json").unlink()
    return ["train", "--resume", TRAINED]


def snapshot_into_a_file(run: Path) -> list[str]:
    (run.parent / "taken").write_text("")
    return ["export", TRAINED, "--to", str(run.parent / "taken")]


OF_A_FINISHED_RUN: dict[str, tuple[Arrange, str, str]] = {
    "a run of that name exists": (
        lambda run: ["train", "--run", TRAINED],
        f"{TRAINED}: a run of this name exists",
        "Choose another",
    ),
    "resume of a finished run": (lambda run: ["train", "--resume", TRAINED], "all its 2 rounds are done", "start a new run"),
    "an adapter the run does not have": (
        lambda run: ["chat", "--run", TRAINED, "--hospital", "Z", "--query", "x"],
        "has no adapter 'Z'",
        "base, global, A, B, C",
    ),
    "a damaged adapter": (damaged_adapter, "hospital_B", "undamaged copy"),
    "a damaged line among the events": (damaged_line, "events.jsonl, line 5", "copy"),
    "events of a later version": (events_of_a_later_version, "events.jsonl, line 1", "same version"),
    "a run without events": (no_events, "events.jsonl", "fedmed-tui runs"),
    "a manifest of a later version": (manifest_of_a_later_version, "manifest.json", "Use the version"),
    "a damaged manifest": (damaged_manifest, "manifest.json: is damaged", "Restore it"),
    "a snapshot into a file": (snapshot_into_a_file, "taken", "permissions"),
}

OF_AN_UNFINISHED_RUN: dict[str, tuple[Arrange, str, str]] = {
    "settings changed since the last round": (
        changed_settings,
        "its settings were changed since its last round: training.batch_size was 4, is 3",
        "Put manifest.json back",
    ),
    "a run whose manifest is gone": (no_manifest, "no such run", "fedmed-tui runs"),
}


def files_below(folder: Path) -> dict[Path, bytes]:
    """Every file with its content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(command: list[str], place: str, mend: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command is refused in one sentence that tells place and mend, and every file is as it was."""
    before = files_below(home)
    capsys.readouterr()

    code = main(command)

    output = capsys.readouterr()
    complaint = output.err.strip().splitlines()[-1]
    assert code == BAD_INPUT
    assert place in complaint
    assert mend in complaint
    assert "Traceback" not in output.out + output.err
    after = files_below(home)
    assert {path: after.get(path) for path in before} == before


@pytest.mark.parametrize("case", WITHOUT_A_RUN)
def test_bad_input_is_refused_with_place_and_mend(case: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrange, place, mend = WITHOUT_A_RUN[case]

    assert_refused(arrange(home), place, mend, home, capsys)


@pytest.mark.parametrize("case", OF_A_FINISHED_RUN)
def test_bad_input_about_a_run_leaves_the_run_as_it_was(
    case: str, trained_run: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrange, place, mend = OF_A_FINISHED_RUN[case]

    assert_refused(arrange(trained_run), place, mend, home, capsys)


@pytest.mark.parametrize("case", OF_AN_UNFINISHED_RUN)
def test_bad_input_about_an_unfinished_run_leaves_it_as_it_was(
    case: str, unfinished_run: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrange, place, mend = OF_AN_UNFINISHED_RUN[case]

    assert_refused(arrange(unfinished_run), place, mend, home, capsys)


def test_a_second_engine_on_one_run_is_refused(unfinished_run: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with filelock.FileLock(unfinished_run / ".lock"):
        assert_refused(["train", "--resume", TRAINED], "another engine is working on this run", "stop it first", home, capsys)


def test_a_damaged_checkpoint_is_set_aside_and_the_run_goes_on(unfinished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = unfinished_run / "rounds" / "001" / "global.safetensors"
    damaged = checkpoint.read_bytes()[:-1] + b"\x00"
    checkpoint.write_bytes(damaged)

    code = main(["train", "--resume", TRAINED])

    kept = [path.read_bytes() for path in unfinished_run.glob("rounds/001.damaged-*/global.safetensors")]
    assert code == DONE
    assert "Round 1 was damaged" in capsys.readouterr().out
    assert kept == [damaged]
    assert (unfinished_run / "rounds" / "002").is_dir()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder = tmp_path / "small-disk"
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_ends_a_run_that_goes_on_once_there_is_space(
    small_disk: Path,
    trained_home: Path,
    tiny_model: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    subprocess.run(["cp", "-r", trained_home / "output-models", small_disk], check=True)
    (small_disk / "filler").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - 24 * 1024))
    monkeypatch.setenv("FEDMED_HOME", str(small_disk))

    train = ["train", "--model", str(tiny_model), "--run", "new", *QUICK]
    assert_refused(train, "No space left", "Free some space", small_disk, capsys)

    (small_disk / "filler").unlink()
    assert main(["train", "--resume", "new"]) == DONE
