"""``doctor``: packages, devices, data and weights."""

from __future__ import annotations

import json
import re


def test_doctor_says_what_is_at_hand(bench, folder):
    findings = json.loads(bench("doctor", "--json").out)
    assert findings["datasets"]["digits"] == "1,797 images"
    assert findings["datasets"]["fashion_mnist"].startswith("the four idx files are not in")
    assert "data prepare" in findings["datasets"]["fashion_mnist"]
    assert re.fullmatch(r"weights sha256:[0-9a-f]{12}\.\.\.", findings["teachers"]["efficientnet_lite0"])
    assert re.fullmatch(
        r"torchvision:resnet50:.*:IMAGENET1K_V1, which the library fetches when needed",
        findings["teachers"]["resnet50"],
    )
    assert findings["folders"]["cache (BENCH_CACHE)"] == str(folder / "cache")
    # What follows depends on the processor: whether it has bfloat16.
    assert "2 threads, so many jobs at once by default" in findings["devices"]["cpu"]
    assert re.fullmatch(r"[0-9.]+ GB available; .*", findings["devices"]["memory"])
    ready = findings["ready for grids"]
    assert re.fullmatch(r"[0-9]+ of [0-9]+: (.*, )?digits, (.*, )?synthetic.*", ready["datasets"])
    # Plug-ins that other tests have included stay.
    assert re.match(r"([0-9]+) of \1: alexnet, efficientnet_lite0, ", ready["teachers"])
    assert bench("doctor").out.splitlines()[-1] == f"  teachers: {ready['teachers']}"
