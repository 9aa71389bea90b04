"""Who may import whom. The contracts in pyproject.toml hold it for the source, these tests for the running processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TENSORS = ("torch", "transformers", "peft", "datasets", "bitsandbytes", "safetensors")
SCREEN = ("textual", "rich", "typer", "fedmed_tui", "screens")


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded in a fresh interpreter after running `code`."""
    script = code + "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True, timeout=120)
    return set(answer.stdout.split())


def submodules(package: str) -> list[str]:
    """Every module below a package."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.name not in ("__main__.py", "__init__.py")
    ]


def importing(names: list[str]) -> str:
    """Code that imports all of them."""
    return "\n".join(f"import {name}" for name in names)


@pytest.mark.parametrize("package", ["fedmed_tui", "screens"])
def test_nothing_the_screen_imports_loads_a_tensor_library(package: str) -> None:
    loaded = modules_after(importing(submodules(package)))

    assert loaded.isdisjoint(TENSORS)


def test_the_protocol_and_the_settings_load_no_tensor_library() -> None:
    shared = ["protocol", "settings", "errors", "locations", "files", "manifest"]

    loaded = modules_after(importing([f"engine.{name}" for name in shared]))

    assert loaded.isdisjoint({*TENSORS, "numpy", "pyarrow"})


def test_the_engine_is_ready_before_it_loads_a_tensor_library() -> None:
    loaded = modules_after("import importlib; importlib.import_module('engine.jobs.dispatch')")

    assert "torch" not in loaded


def test_the_whole_engine_loads_nothing_of_the_screen() -> None:
    loaded = modules_after(importing([name for name in submodules("engine") if not name.startswith("engine.data.phi.")]))

    assert "torch" in loaded  # all of it was really imported
    assert loaded.isdisjoint(SCREEN)


def test_the_phi_scan_loads_nothing_of_our_screen() -> None:
    loaded = modules_after(importing([name for name in submodules("engine") if name.startswith("engine.data.phi.")]))

    assert "spacy" in loaded  # whose own command line loads rich and typer
    assert loaded.isdisjoint({"textual", "fedmed_tui", "screens"})


def test_the_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports")]

    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=120)

    assert answer.returncode == 0, answer.stdout
