"""Speed of ``encode``, as ratios to the plain loop over the same photos in the same process.

    python -m tests.perf.perf_encode --bundle DIR --json build/perf_encode.json

The plain loop opens a photo, turns it, fits it and runs the model on it, one after the other, with ONNX
Runtime's own defaults; nothing is written. ``encode`` does the same in threads and batches, and writes its
file. The two take turns, so that a busy machine slows both; ratios are of one turn, of which the median,
the least and the greatest are printed. Codes must be equal. Without a bundle, the model is a mean of
colours: nearly all of the time goes to reading.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

from bench import environment
from bench.data.decoding import as_rgb
from bench.data.fitting import fitted
from bench.deployment.bundle import MODEL, Bundle
from bench.deployment.code_files import CodeFile
from bench.deployment.encode import encode
from tests.deployment.bundles import write_bundle


def plain_loop(bundle: Bundle, paths: list[Path]) -> np.ndarray:
    """Codes of the photos, one after the other."""
    session, to = onnxruntime.InferenceSession(bundle.folder / MODEL), bundle.preprocessing
    codes = []
    for path in paths:
        image = as_rgb(ImageOps.exif_transpose(Image.open(path)))
        pixels = np.asarray(fitted(image, to.height, to.width, to.fit))
        codes.append(session.run(None, {"images": pixels[None]})[0])
    return np.concatenate(codes)


def write_photos(folder: Path, count: int) -> list[Path]:
    """JPEG photos of 640 x 480 pixels with some detail."""
    rng, paths = np.random.default_rng(0), []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(256, size=(30, 40, 3), dtype=np.uint8))
        paths.append(folder / f"{number:05}.jpg")
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths


def compare(bundle: Bundle, paths: list[Path], turns: int, threads: int) -> dict[str, float]:
    """Photos a second of both ways, and their ratio."""
    rates: dict[str, list[float]] = {"plain": [], "encode": []}
    for _ in range(turns):
        start = time.perf_counter()
        codes = plain_loop(bundle, paths)
        rates["plain"].append(len(paths) / (time.perf_counter() - start))
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "codes.npz"
            start = time.perf_counter()
            encode(bundle, paths, out, threads=threads)
            rates["encode"].append(len(paths) / (time.perf_counter() - start))
            np.testing.assert_array_equal(CodeFile(out).values(), codes)
    ratios = [ours / plain for ours, plain in zip(rates["encode"], rates["plain"], strict=True)]
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {**medians, "ratio": statistics.median(ratios), "least": min(ratios), "greatest": max(ratios)}


def main() -> None:
    """Compare, print, and write JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--photos", type=int, default=400)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    threads = environment.default_threads()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = Bundle.read(options.bundle or write_bundle(folder / "b", 32, height=64, width=64).folder)
        found = compare(bundle, write_photos(folder, options.photos), options.turns, threads)
    shown = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    sys.stdout.write(f"{bundle.name}, {threads} threads, {environment.cpu_model()}: {shown}\n")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"threads": threads, **found}, indent=1))


if __name__ == "__main__":
    main()
