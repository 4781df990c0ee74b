"""``python -m bench``."""

import os
import sys

from bench import environment

# Python puts the working directory first where it looks for modules, and what lies there is the user's: a
# package ``models``, a file ``yaml.py``. Plug-ins find it all the same, see ``bench.registry.include``.
if __name__ == "__main__" and sys.path[0] in {"", os.getcwd()} and not environment.in_checkout():
    del sys.path[0]

from bench.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
