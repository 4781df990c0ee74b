"""Programs called like those of Slurm that note what they got, and say what they are told to say."""

from __future__ import annotations

import sys
from pathlib import Path

SBATCH = """\
#!{python}
import pathlib, sys
folder = pathlib.Path({folder!r})
refusal = folder / "refusal"
if refusal.exists():
    sys.exit(refusal.read_text())
number = len(list(folder.glob("*.sh"))) + 1
(folder / f"{{number}}.sh").write_text(pathlib.Path(sys.argv[1]).read_text())
print(f"Submitted batch job {{number}}")
"""
SQUEUE = """\
#!{python}
import pathlib
print((pathlib.Path({folder!r}) / "queue").read_text(), end="")
"""


class Programs:
    """``sbatch``, ``squeue`` and ``srun`` in a folder, and what they have noted below it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.noted = folder, folder / "noted"
        self.noted.mkdir(parents=True)
        self.queue()
        for name, text in {"sbatch": SBATCH, "squeue": SQUEUE, "srun": "#!{python}\n"}.items():
            program = folder / name
            program.write_text(text.format(python=sys.executable, folder=str(self.noted)))
            program.chmod(0o755)

    def queue(self, *lines: str) -> None:
        """Have squeue say it."""
        (self.noted / "queue").write_text("".join(f"{line}\n" for line in lines))

    def refuse(self, reason: str) -> None:
        """Have sbatch take nothing any more."""
        (self.noted / "refusal").write_text(reason)

    def scripts(self) -> list[str]:
        """What sbatch got, in order."""
        found = sorted(self.noted.glob("*.sh"), key=lambda path: int(path.stem))
        return [path.read_text() for path in found]

    def options(self) -> list[dict[str, str]]:
        """The options in them."""
        lines = (
            [line for line in text.splitlines() if line.startswith("#SBATCH")] for text in self.scripts()
        )
        parts = ([line.removeprefix("#SBATCH --").partition("=") for line in script] for script in lines)
        return [{name: value for name, _, value in script} for script in parts]
