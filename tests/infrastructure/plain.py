"""`python -m tests.infrastructure.plain template.yaml` prints a template as JSON: no anchors, no merge keys."""

import json
import sys
from pathlib import Path

from tests.infrastructure.stack import parsed

if __name__ == "__main__":
    print(json.dumps(parsed(Path(sys.argv[1])), indent=1))
