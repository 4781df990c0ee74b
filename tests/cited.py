"""Records of CIFAR-10 as a run of the published configurations would leave them, made by hand."""

import itertools

from tests import recorded

PROTOCOL = {"split": "cifar10-1-q100-t500-s0", "k": "all"}
#: Parameters and multiply-adds at 16 bits and with how many inputs the hash layer has; mAP at 48 bits.
NETWORKS = {
    "cukd_v1": (3_338_704, 1.087e9, 2048, 0.71),
    "resnet50": (23_540_816, 4.087e9, 2048, 0.83),
    "alexnet": (57_069_392, 0.710e9, 4096, 0.765),
}


def record(student, loss, bits, seed=0, method="none", *, protocol=None, image_size=224, gain=0.0):
    """One cell, of 224 pixels unless it is told otherwise."""
    params, macs, inputs, accuracy = NETWORKS[student]
    value = accuracy + gain + 0.004 * (seed - 1) + 0.0004 * (bits - 48) + 0.006 * (loss == "csq")
    metrics = {
        f"map@all:{ties}:{by}": recorded.accuracy(value, ties, by)
        for ties, by in [
            *(("expected", "relevant"), ("index", "hits"), ("best", "relevant"), ("worst", "relevant"))
        ]
    }
    metrics |= {
        "params": recorded.cost(params + (bits - 16) * (inputs + 1), "parameters"),
        "macs": recorded.cost(macs + (bits - 16) * inputs, "multiply-adds"),
    }
    made = recorded.make_record(
        student, method, loss, bits, seed, dataset="cifar10", metrics=metrics,
        protocol={**PROTOCOL, **(protocol or {})},
        params={"dataset": {"protocol": "cifar10-1"}},
    )  # fmt: skip
    teachers = ["resnet50"] if method != "none" else []
    cell = made.cell.model_copy(update={"image_size": image_size, "teachers": teachers})
    return made.model_copy(update={"cell": cell})


def records(networks=NETWORKS, bits=(16, 48, 64)):
    """The students of three networks, the smallest also distilled, each at its published code lengths."""
    found = [
        record(student, loss, length, seed)
        for student, loss, length, seed in itertools.product(networks, ("dch", "csq"), bits, range(3))
        if (loss, length) not in {("dch", 64), ("csq", 16), ("csq", 48)}
    ]
    distilled = [
        record("cukd_v1", loss, length, seed, "cukd", gain=0.03)
        for loss, length, seed in itertools.product(("dch", "csq"), bits, range(3))
        if (loss, length) not in {("dch", 64), ("csq", 16), ("csq", 48)} and "cukd_v1" in networks
    ]
    return [*found, *distilled]
