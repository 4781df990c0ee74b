"""``bench encode`` with small parts and a pause after each batch, for tests that stop it in the middle.

Run as ``python -m tests.deployment.encode_slowly SECONDS_A_BATCH SECONDS_BEFORE_THE_END ARGUMENTS``.
"""

from __future__ import annotations

import sys
import time

from bench.cli import main
from bench.deployment import code_files, growing_codes
from bench.deployment.encoder import Encoder

pause, before_the_end = map(float, sys.argv[1:3])
growing_codes.ROWS = 16
call, merge = Encoder.__call__, code_files.merge


def slow_call(self, images):
    time.sleep(pause)
    return call(self, images)


def slow_merge(*arguments):
    merge(*arguments)
    time.sleep(before_the_end)


Encoder.__call__, code_files.merge = slow_call, slow_merge
raise SystemExit(main(sys.argv[3:]))
