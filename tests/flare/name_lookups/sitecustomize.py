"""Found on PYTHONPATH by every process of the federation under test: appends each name that is looked up to a file."""

import os
import sys


def _note(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        with open(os.environ["FEDMED_TEST_LOOKUPS"], "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"{arguments[0]}\n")


if os.environ.get("FEDMED_TEST_LOOKUPS"):
    sys.addaudithook(_note)
