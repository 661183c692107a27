"""The ledger as JSON lines, for an archive or an auditor; docs/removal.md has the command."""

import json
import sys
from collections.abc import Iterator

from linkgate.aws import clients
from linkgate.ledger.table import LedgerTable
from linkgate.policy.attributes import plain


def lines(store: LedgerTable) -> Iterator[str]:
    """Every item of the ledger as one line of JSON: endpoints as they are now, and each decision with its answer.

    Sets become sorted lists, whole numbers integers, other numbers text. `facts` stays the text that it is.
    """
    return (json.dumps(plain(item), sort_keys=True) for item in store.dump())


def main(arguments: list[str]) -> int:
    """Print the lines of a table; 2 if none is named."""
    if len(arguments) != 1:
        print("usage: PYTHONPATH=layers/common python3 -m linkgate.ledger.export TABLE", file=sys.stderr)
        return 2
    for line in lines(LedgerTable(clients.tables(), arguments[0])):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
