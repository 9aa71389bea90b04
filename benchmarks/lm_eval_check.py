"""Do the knowledge suite's picks agree with lm-evaluation-harness on the same model and questions?

    python -m venv /tmp/lm_eval && /tmp/lm_eval/bin/pip install -e . "lm_eval==0.4.13"
    /tmp/lm_eval/bin/python -m benchmarks.lm_eval_check [--items 100]

lm_eval is no dependency of the project: it brings some forty packages along. Its own task files are used, with only the data set
replaced by the local files; both sides compute in fp32. Some 6 minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lm_eval
import yaml
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from engine.benchmark.choice import MMLU, PUBMEDQA, TASKS, picks
from engine.benchmark.public_data import evenly, read_public
from engine.model.base import BaseModel, load_base
from engine.settings import ModelSettings

GOAL = 0.98
OFFICIAL = Path(lm_eval.__file__).parent / "tasks"


def main() -> None:
    """Print the agreement, task by task. Exit code 1 when it is below the goal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=100, help="questions, half of each data set")
    half = parser.parse_args().items // 2
    *_, base = load_base(ModelSettings(source="bundled", quantization="none", device="cpu"))
    assert isinstance(base, BaseModel)
    theirs = harness_picks(base.folder.path, half)
    same = total = 0
    for task, questions in ((task, evenly(read(""), half)) for task, read in TASKS.items()):
        ours = run(picks(base.model, base.tokenizer, questions))
        agreed = sum(mine == other for mine, other in zip(ours, theirs[task], strict=True))
        right = [
            sum(pick == question.answer for pick, question in zip(side, questions, strict=True)) for side in (ours, theirs[task])
        ]
        print(f"{task}: {agreed} of {half} picks the same; right: {right[0]} here, {right[1]} by lm_eval {lm_eval.__version__}")
        same, total = same + agreed, total + half
    print(f"together: {same} of {total} ({same / total:.1%}); goal {GOAL:.0%}")
    raise SystemExit(same / total < GOAL)


def harness_picks(model: Path, items: int) -> dict[str, list[int]]:
    """What lm_eval picks, in the order of our questions."""
    with tempfile.TemporaryDirectory() as name:
        tasks = write_tasks(Path(name), items)
        answers = lm_eval.simple_evaluate(
            model=HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=8),
            tasks=list(tasks),
            task_manager=TaskManager(include_path=name),
            log_samples=True,
            bootstrap_iters=0,
        )
    found: dict[str, dict[int, int]] = {PUBMEDQA: {}, MMLU: {}}
    for task, (ours, places) in tasks.items():
        for sample in answers["samples"][task]:
            likelihoods = [float(answer[0]) for answer in sample["filtered_resps"]]
            found[ours][places[sample["doc_id"]]] = likelihoods.index(max(likelihoods))
    return {ours: [at[place] for place in range(items)] for ours, at in found.items()}


def write_tasks(folder: Path, items: int) -> dict[str, tuple[str, list[int]]]:
    """The harness's own task files over local data: task name → (our task, places of its questions among ours)."""
    tasks: dict[str, tuple[str, list[int]]] = {}
    official = [record for record in read_public("", "pubmedqa_labeled", dict) if record["official_test"]]
    rows: list[dict[str, Any]] = [
        {"CONTEXTS": record["context"], "QUESTION": record["question"], "final_decision": record["answer"]}
        for record in evenly(official, items)
    ]
    tasks["check_pubmedqa"] = (PUBMEDQA, list(range(items)))
    write_task(folder, "check_pubmedqa", OFFICIAL / "pubmedqa" / "pubmedqa.yaml", rows)
    medical = evenly(read_public("", "mmlu_medical", dict), items)
    for subject in sorted({record["group"] for record in medical}):
        places = [place for place, record in enumerate(medical) if record["group"] == subject]
        rows = [
            {
                "question": medical[place]["question"],
                "choices": [medical[place]["options"][letter] for letter in "ABCD"],
                "answer": "ABCD".index(medical[place]["answer_idx"]),
            }
            for place in places
        ]
        tasks[f"check_{subject}"] = (MMLU, places)
        write_task(folder, f"check_{subject}", OFFICIAL / "mmlu" / "default" / f"mmlu_{subject}.yaml", rows)
    return tasks


def write_task(folder: Path, name: str, official: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A task that is the official one but for its data."""
    data = folder / f"{name}.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    changed = {
        "include": str(official),
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "training_split": None,
        "validation_split": None,
        "test_split": "test",
        "fewshot_split": None,
        "tag": None,
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")


def run(work: Any) -> list[int]:
    """What a generator returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return list(end.value)


if __name__ == "__main__":
    main()
