"""Found on PYTHONPATH by every process of the federation under test: appends each name that is looked up to a file."""

import os
import sys

LOOKUPS = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
PLACE = os.environ.get("FEDMED_TEST_LOOKUPS", "")


def _note(event, arguments):
    name = None
    if event in LOOKUPS:
        name = arguments[0]
    elif event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
        name = arguments[1][0]  # a name given to connect() is looked up inside it
    if name is not None:
        with open(PLACE, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"{name}\n")


if PLACE:
    sys.addaudithook(_note)
