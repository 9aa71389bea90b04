"""`python -P -m fedmed_tui` is `fedmed-tui`."""

from __future__ import annotations

import sys

from fedmed_tui.cli import main

sys.exit(main())
