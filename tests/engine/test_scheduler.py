"""Whose turn it is: chat before training, and training never starves."""

from __future__ import annotations

from collections.abc import Iterator

from engine.protocol import AnyEvent, ChatText, JobFinished
from engine.scheduler import Cancelled, Job, Scheduler


class Recorder:
    """A scheduler whose events are kept as short strings."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.scheduler = Scheduler(self._emit, lambda job, error: self.seen.append(f"{job} failed: {error}"))

    def _emit(self, event: AnyEvent) -> None:
        match event:
            case ChatText(text=text):
                self.seen.append(text)
            case JobFinished(job=job, outcome=outcome):
                self.seen.append(f"{job} {outcome}")

    def run(self, steps: int = 100) -> list[str]:
        for _ in range(steps):
            if self.scheduler.idle:
                break
            self.scheduler.step()
        return self.seen


def pieces(name: str, count: int) -> Iterator[ChatText]:
    for number in range(1, count + 1):
        yield ChatText(job=name, text=f"{name}{number}")


def job(name: str, count: int) -> Job:
    yield from pieces(name, count)


def test_a_chat_goes_before_training() -> None:
    recorder = Recorder()
    recorder.scheduler.add("train", job("t", 2), "background")
    recorder.scheduler.step()
    recorder.scheduler.add("chat", job("c", 3), "interactive")

    assert recorder.run() == ["t1", "c1", "c2", "c3", "chat done", "t2", "train done"]


def test_training_gets_a_turn_between_two_answers() -> None:
    recorder = Recorder()
    recorder.scheduler.add("train", job("t", 2), "background")
    recorder.scheduler.add("one", job("a", 2), "interactive")
    recorder.scheduler.add("two", job("b", 1), "interactive")

    assert recorder.run() == ["a1", "a2", "one done", "t1", "b1", "two done", "t2", "train done"]


def test_background_jobs_run_one_after_the_other() -> None:
    recorder = Recorder()
    recorder.scheduler.add("one", job("a", 2), "background")
    recorder.scheduler.add("two", job("b", 1), "background")

    assert recorder.run() == ["a1", "a2", "one done", "b1", "two done"]


def test_work_on_data_takes_turns_with_training() -> None:
    recorder = Recorder()
    recorder.scheduler.add("train", job("t", 3), "background")
    recorder.scheduler.add("import", job("i", 2), "aside")

    assert recorder.run() == ["t1", "i1", "t2", "i2", "t3", "import done", "train done"]


def test_an_answer_goes_before_both() -> None:
    recorder = Recorder()
    recorder.scheduler.add("train", job("t", 1), "background")
    recorder.scheduler.add("import", job("i", 1), "aside")
    recorder.scheduler.add("chat", job("c", 2), "interactive")

    assert recorder.run() == ["c1", "c2", "chat done", "t1", "i1", "train done", "import done"]


def test_a_cancelled_job_may_say_a_last_word() -> None:
    def polite() -> Job:
        try:
            yield from pieces("p", 9)
        except Cancelled:
            yield ChatText(job="p", text="saved")
            raise

    recorder = Recorder()
    recorder.scheduler.add("polite", polite(), "background")
    recorder.scheduler.step()
    recorder.scheduler.cancel("polite")

    assert recorder.run() == ["p1", "saved", "polite cancelled"]


def test_a_job_cancelled_before_its_first_step_does_nothing() -> None:
    recorder = Recorder()
    recorder.scheduler.add("train", job("t", 2), "background")
    recorder.scheduler.cancel("train")

    assert recorder.run() == ["train cancelled"]


def test_one_job_s_error_does_not_touch_the_others() -> None:
    def broken() -> Job:
        yield from pieces("x", 1)
        raise ValueError("oops")

    recorder = Recorder()
    recorder.scheduler.add("broken", broken(), "interactive")
    recorder.scheduler.add("train", job("t", 1), "background")

    assert recorder.run() == ["x1", "broken failed: oops", "broken failed", "t1", "train done"]
