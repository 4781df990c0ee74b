"""Step 1 and step 2 as published scripts do them: the plain way, to be measured against.

PIL transforms in a DataLoader, float32, channels first, the teacher's forward pass in every step. Written
from the description in arXiv 2207.09070, with what this suite does alike on purpose: the same splits, crops
of the same distribution, losses and optimizers, so that speed and accuracy can be compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench import environment
from bench.data.loading import LoadedDataset
from bench.hamming import average_precision, pack_codes

WORKERS = environment.cores()


class Images(Dataset[tuple[Tensor, Tensor, int]]):
    """Some images of a set as PIL images, transformed one at a time, with labels and positions."""

    def __init__(self, data: LoadedDataset, indices: NDArray[np.int64], transform: Any) -> None:
        self.pixels = data.images.pixels[indices]
        self.labels = torch.from_numpy(data.images.multi_hot(indices)).float()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor, int]:
        image = Image.fromarray(self.pixels[place, 0]).convert("RGB")
        return self.transform(image), self.labels[place], place


def training_view(preprocessing: Any, size: int, side: int) -> Any:
    """Shift by up to an eighth with repeated borders, mirror, resize: the augmentation of Fashion-MNIST.

    Whole pixels, rounded down: 3 of 28 spread as much as the suite's shifts, which are not of whole pixels.
    """
    return transforms.Compose(
        [
            transforms.Pad(side // 8, padding_mode="edge"),
            transforms.RandomCrop(side),
            transforms.RandomHorizontalFlip(),
            *_resized(preprocessing, size),
        ]
    )


def evaluation_view(preprocessing: Any, size: int) -> Any:
    """The whole image."""
    return transforms.Compose(_resized(preprocessing, size))


def _resized(preprocessing: Any, size: int) -> list[Any]:
    mode = transforms.InterpolationMode(preprocessing.interpolation)
    normalize = transforms.Normalize(preprocessing.mean, preprocessing.std)
    return [transforms.Resize((size, size), mode), transforms.ToTensor(), normalize]


def _batches(images: Images, batch_size: int, *, training: bool) -> DataLoader[Any]:
    return DataLoader(
        images,
        batch_size,
        shuffle=training,
        drop_last=training,
        num_workers=WORKERS,
        persistent_workers=training,
    )


class Renormalized(nn.Module):
    """A teacher that is shown the student's inputs, with its own mean and deviation."""

    def __init__(self, teacher: nn.Module, student: Any, own: Any) -> None:
        super().__init__()
        self.teacher = teacher
        mean, std, own_mean, own_std = (
            torch.tensor(values).view(1, 3, 1, 1) for values in (student.mean, student.std, own.mean, own.std)
        )
        self.register_buffer("scale", std / own_std)
        self.register_buffer("shift", (mean - own_mean) / own_std)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.teacher(inputs * self.scale + self.shift)
        return found


def distil(
    student: nn.Module,
    teacher: nn.Module,
    images: Images,
    device: str,
    *,
    epochs: int,
    lr: float,
    batch_size: int,
) -> None:
    """Regress the features of the live teacher, Adam at a constant rate."""
    student.to(device).train()
    teacher.to(device).eval()
    optimizer = torch.optim.Adam(student.parameters(), lr)
    loader = _batches(images, batch_size, training=True)
    for _ in range(epochs):
        for batch, _, _ in loader:
            inputs = batch.to(device)
            with torch.no_grad():
                wanted = teacher(inputs)
            loss = nn.functional.mse_loss(student(inputs), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def finetune(
    net: nn.Module, loss: Any, images: Images, device: str, *, epochs: int, lr: float, batch_size: int
) -> None:
    """Learn codes with a hashing loss, RMSprop at a constant rate."""
    net.to(device).train()
    optimizer = torch.optim.RMSprop(net.parameters(), lr)
    loader = _batches(images, batch_size, training=True)
    for epoch in range(epochs):
        loss.begin_epoch(epoch)
        for inputs, labels, index in loader:
            codes = net(inputs.to(device))
            total = sum(loss.terms(codes, labels.to(device), index.to(device)).values())
            optimizer.zero_grad()
            total.backward()
            optimizer.step()


@torch.no_grad()
def mean_average_precision(
    net: nn.Module, data: LoadedDataset, view: Any, device: str, batch_size: int
) -> float:
    """mAP of the codes over the whole database."""
    net.eval()
    splits, labels = data.splits, data.images.labels
    codes = []
    for indices in (splits.query, splits.database):
        loader = _batches(Images(data, indices, view), batch_size, training=False)
        codes.append(pack_codes(torch.cat([net(inputs.to(device)).cpu() for inputs, _, _ in loader]).numpy()))
    return float(average_precision(*codes, labels[splits.query], labels[splits.database]).mean())
