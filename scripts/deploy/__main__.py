"""`python -m scripts.deploy [DIRECTORY]`: write the generated files of deploy/."""

import sys
from pathlib import Path

from . import base, chart

PLACES = {"helm/backup-manager": chart.files, "kustomize": base.files}


def main(directory: Path) -> None:
    for place, files in PLACES.items():
        for name, text in files().items():
            file = directory / place / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "deploy"))
