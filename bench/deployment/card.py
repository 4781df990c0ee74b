"""What goes with a bundle for people to read: what it is, how good, at which cost, and how to use it."""

from __future__ import annotations

from collections.abc import Iterator

from bench.deployment.bundle import Bundle
from bench.deployment.cells import FoundCell
from bench.deployment.example import example
from bench.deployment.licences import licences
from bench.deployment.proof import Agreement
from bench.deployment.student import Student
from bench.results import catalogue, wording
from bench.results.records import Measured, Record
from bench.results.sides import SIDES, apart, with_side

FILE = "CARD.md"

#: Numbers of the card beside the accuracy that the cell is judged by, where the record has them.
ACCURACIES = ("precision_at_k", "recall_at_k", "precision_hamming2")
COSTS = ("params", "macs", "weights_mb", "code_bytes", "latency_ms@1", "peak_memory_mb@1", "query_ms@1")


def text(cell: FoundCell, student: Student, bundle: Bundle, agreement: Agreement) -> str:
    """The card in Markdown."""
    record = cell.record
    parts = [
        f"# {wording.in_markdown(bundle.name)}",
        _what(bundle, record),
        "## How good it is",
        "\n".join(_accuracy(record, bundle.precision)),
        "## What it costs",
        "\n".join(_costs(record)),
        "## Whether this file is that network",
        "\n".join(f"- {name}: {found}" for name, found in agreement_lines(agreement, bundle.bits).items()),
        "## What was done to an image first",
        _preprocessing(bundle),
        "## How to use it",
        _use(bundle),
        "## Where it comes from",
        "\n".join(_origin(bundle, student, record)),
    ]
    doubts = [f"> {wording.in_markdown(wording.one_line(sentence))}" for sentence in cell.doubts]
    parts[2:2] = ["\n".join(doubts)] if doubts else []
    return "\n\n".join(parts) + "\n"


def _what(bundle: Bundle, record: Record) -> str:
    cell = record.cell
    made = (
        f"{bundle.bits}-bit codes, compared by Hamming distance{_shorter(bundle)}"
        if bundle.bits
        else (f"embeddings of {bundle.dimensions} numbers, compared by cosine")
    )
    taught = (
        f"distilled with {cell.method}" + (f" from {' and '.join(cell.teachers)}" if cell.teachers else "")
        if cell.method != "none"
        else "not distilled"
    )
    hashed = _hashed(record) if bundle.bits else "not fine-tuned"
    return (
        f"An image encoder for search: {cell.student} at {cell.image_size} pixels, {taught}, {hashed}, on "
        f"{cell.dataset}. It makes {made}. The network is in {bundle.precision}."
    )


def _hashed(record: Record) -> str:
    """What step 2 was."""
    loss, stages = record.cell.loss, record.stages
    if "fit" in stages:
        return f"not fine-tuned (its codes, {loss}, were fitted to its features without labels)"
    if "trunk" in stages:
        return f"then given a hash head, which alone was trained, with the hashing loss {loss}"
    return f"then fine-tuned with the hashing loss {loss}"


def _shorter(bundle: Bundle) -> str:
    lengths = " or ".join(map(str, bundle.lengths[:-1]))
    return f", whose first {lengths} bits are codes, too (`encode --bits`)" if lengths else ""


def _accuracy(record: Record, precision: str) -> Iterator[str]:
    if precision != "fp32":
        yield f"Of the network in torch, before it became {precision}, which is compared below.\n"
    main, protocol = record.accuracy, record.cell.protocol
    yield f"| on {record.cell.dataset} | value | 95 % over queries |\n|---|--:|--:|"
    names = [with_side(main, side) for side in ("", *SIDES)] if main else []
    names = [name for name in names if name in record.metrics]
    names += [
        name for name in record.metrics if catalogue.base_name(name) in ACCURACIES and not apart(name)[1]
    ]
    for name in names:
        metric = record.metrics[name]
        yield f"| {catalogue.title(name)} | {metric.value:.4f} | {_interval(metric)} |"
    if main:
        yield f"\n{wording.definition(main)}"
        yield from filter(None, map(wording.side_definition, names))
        base = main.partition(":")[0]
        bounds = [
            record.metrics.get(f"{base}:{ties}:{protocol.get('normalizer')}") for ties in ("worst", "best")
        ]
        if all(bounds):
            low, high = (bound.value for bound in bounds if bound)
            yield f"Items at equal distance in the worst order: {low:.4f}, in the best: {high:.4f}."
        if usual := record.metrics.get(f"{base}:index:hits"):
            yield f"What the field's usual evaluator would print: {usual.value:.4f}."
        queries, database = (record.metrics[main].detail.get(name) for name in ("queries", "database"))
        yield f"Of {queries} queries in a database of {database}, split {protocol['split']}."
    if {"distill", "finetune"} & record.stages.keys():
        yield f"One training, seed {record.cell.seed}: another seed gives another network."


def _interval(metric: Measured) -> str:
    return "" if metric.interval is None else "{:.4f} to {:.4f}".format(*metric.interval)


def _costs(record: Record) -> Iterator[str]:
    found = [(name, record.metrics[name]) for name in COSTS if name in record.metrics]
    if not found:
        yield "Nothing of it was measured."
        return
    yield "| in torch, as measured when it was trained | |\n|---|--:|"
    for name, metric in found:
        factor, unit = wording.unit(name, metric.unit, [metric.value])
        yield f"| {catalogue.title(name)} | {metric.value / factor:.4g} {unit} {wording.doubt(metric)} |"
    timed = [wording.conditions(metric) for _, metric in found if metric.noise == "timed"]
    where = record.environment
    machine = (where.get("gpu") if where.get("device") == "cuda" else None) or where.get("cpu")
    yield from (f"\nTimings on {machine}: {conditions}." for conditions in timed[:1])


def agreement_lines(agreement: Agreement, bits: int) -> dict[str, str]:
    """What the proof found, by what it is about."""
    limit, which = agreement.tolerance, "a sample of " if agreement.sampled else ""
    images = f"{which}{agreement.queries:,} queries and {agreement.database:,} images of the database"
    allowed = f"allowed: {limit.bits:.2%}" if bits else f"allowed: {limit.bits:g}"

    def apart(share: float, images: str) -> str:
        if bits:
            return f"{share:.4%} of the bits of {images} differ"
        return f"{images} are {share:.1e} away by cosine, on average,"

    judged = catalogue.title(agreement.accuracy) + (" within the sample" if agreement.sampled else "")
    accuracy = f"{agreement.bundle:.4f}, in the suite {agreement.suite:.4f}: {agreement.difference:+.4f}"
    if agreement.interval is not None:
        accuracy += " [{:+.4f}, {:+.4f}], 95 % over queries".format(*agreement.interval)
    return {
        "codes" if bits else "embeddings": (
            f"{apart(agreement.bits_changed, images)} from those that the cell was judged by ({allowed})"
        ),
        judged: f"{accuracy} (allowed: {limit.accuracy:g})",
        "photos": (
            f"{apart(agreement.photo_bits_changed, f'{agreement.photos} photos of many sizes')} from what "
            f"PIL's resizing and torch make of them ({allowed})"
        ),
        "latency": (
            f"{agreement.latency_ms:.2f} ms for one image in ONNX Runtime ({agreement.cpu}, "
            f"{wording.threads(agreement.threads)})"
        ),
    }


def _preprocessing(bundle: Bundle) -> str:
    steps = bundle.preprocessing
    fit = {
        "crop": "the largest part of that shape is cut from its middle and resized",
        "squash": "it is resized whatever its shape",
        "pad": "it is resized as far as it fits, and the rest is mid-grey",
    }[steps.fit]
    grey = ", turned to grey (ITU-R 601)" if steps.grey else ""
    high, wide = (size, size) if isinstance(size := steps.image_size, int) else size
    crop = f"the middle {steps.crop:.1%} of each side are" if steps.crop < 1 else "it is"
    return (
        f"All of it is in the graph, which takes bytes, RGB. An image of another size than {steps.width} x "
        f"{steps.height} pixels, the size of the images that it was trained on, is brought to that first: "
        f"{fit}, bilinear with antialias{grey}. Then {crop} resized to "
        f"{high} x {wide} pixels ({steps.interpolation}) and normalised by mean "
        f"{_numbers(steps.mean)} and deviation {_numbers(steps.std)}."
    )


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _use(bundle: Bundle) -> str:
    made = "codes" if bundle.bits else "embeddings"
    return f"""Without torch:

```
pip install -r requirements.txt && pip install --no-deps PATH/TO/hash-pareto   # its checkout
python -m bench encode . PHOTOS --out {made}.npz
python -m bench search . PHOTO --index {made}.npz --html found.html
```

With ONNX Runtime alone:

```python
{example(bundle.bits, bundle.dimensions).strip()}
```

In torch, `bench.deployment.student.load(folder)` returns the network, whose input is resized and normalised
already. `golden/` has eight images and what they become, to test the graph in another runtime with."""


def _origin(bundle: Bundle, student: Student, record: Record) -> Iterator[str]:
    made = bundle.made_from
    yield f"- record {made.record}, commit {made.commit or 'unknown'}, hash-pareto {made.version}"
    yield from (f"- {name}: {key}" for name, key in made.stages.items())
    yield f"- weights {made.weights}"
    classes = ", ".join(wording.in_markdown(wording.one_line(name)) for name in bundle.classes)
    names = f": {classes}" if classes else ""
    yield f"- {student.dataset.images.classes} classes{names}"
    yield from (f"- {line}" for line in licences(record))
