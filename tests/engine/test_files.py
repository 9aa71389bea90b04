"""What a killed writer leaves is never taken for something whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from engine.files import write_folder

KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from engine.files import write_folder

def fill(folder):
    (folder / "half").write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)

write_folder(Path(sys.argv[1]), "snapshot", fill)
"""


def test_a_folder_is_there_complete_or_not_at_all_and_what_a_killed_writer_left_is_removed_later(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    os.utime(left, (0, 0))  # long ago

    whole = write_folder(tmp_path, "snapshot", lambda folder: (folder / "whole").touch())

    assert list(tmp_path.iterdir()) == [whole]
    assert [file.name for file in whole.iterdir()] == ["whole"]


def test_a_folder_that_somebody_is_writing_stays(tmp_path: Path) -> None:
    def fill(outer: Path) -> None:
        write_folder(tmp_path, "snapshot", lambda inner: None)
        (outer / "whole").touch()

    folder = write_folder(tmp_path, "snapshot", fill)

    assert folder.name == "snapshot-2"
    assert (folder / "whole").exists()
