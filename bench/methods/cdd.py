"""Capacity dynamic distillation: the student starts as large as its teacher and shrinks while it learns.

"Towards a Smaller Student: Capacity Dynamic Distillation for Efficient Image Retrieval", arXiv 2303.09230.
A 1 x 1 indicator in every residual block learns which channels are needed, under a group lasso whose
conflict with retrieval is settled by resetting gradients; what is not needed is pruned at the end. The
teacher is the same network, first trained on the labels of the target.

    teacher: [resnet50]
    student: [resnet50]
    method: [{name: cdd, params: {epochs: 120, free_epochs: 20}}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bench.methods._identities import IdentityMethod, IdentityParameters
from bench.methods._spaces import DESCENT
from bench.registry import METHODS
from bench.types import DistillationBatch, DistillationTask, Space, later

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.layers.retrieval_network import RetrievalOutputs


@METHODS.register
class CapacityDynamic(IdentityMethod):
    """One live teacher of the student's architecture, labels of the training images."""

    version = 2
    teachers = (1, 1)
    teacher_output = "network"
    same_network = True
    shared_views = False
    teacher_trained_by = "retrieval"
    space: ClassVar[Space] = {**DESCENT, "temperature": (1.0, 20.0, "log"), "fit_weight": (0.05, 5.0, "log")}

    class Params(IdentityParameters):
        """Published settings on MSMT17."""

        teacher_epochs: int = Field(120, ge=1, le=100_000, description="of training the teacher")
        free_epochs: int = Field(20, ge=0, description="epochs before gradients are reset")
        temperature: float = Field(2.0, gt=0, description="of the soft targets")
        fit_weight: float = Field(0.5, ge=0, description="of the blocks' outputs")
        indicator_lr_scale: float = Field(
            1.0, gt=0, description="factor of lr for the indicators, if a schedule is too short for them"
        )
        lasso_weight: float = Field(0.004, gt=0, description="lambda, of the compression loss")
        bank: int = Field(24000, ge=2, description="teacher features that neighbours are looked for in")
        neighbors: int = Field(2, ge=1, description="of each image there, its own row included")
        distance: Literal["cosine", "l2"] = later("cosine", description="of teacher features in the bank")
        reset_share: float = Field(0.5, gt=0, lt=1, description="rho, share of channels that matter least")
        threshold: float = Field(1e-5, gt=0, description="norm below which a channel is pruned")

    def __init__(self, params: Params, task: DistillationTask) -> None:
        from models.pruning.gradient_reset import GradientReset
        from models.pruning.indicators import add_indicators, observe

        self._indicators = add_indicators(task.trunk)
        super().__init__(params, task)
        self._seen = observe(task.networks[0].get_submodule("trunk"))
        self._channels: dict[str, int] = {}
        p = params
        self._reset = GradientReset(p.bank, p.neighbors, p.reset_share, p.lasso_weight, p.distance)

    @classmethod
    def check(cls, params: Any) -> str | None:
        """Without epochs of resetting gradients, next to nothing is pruned."""
        if params.free_epochs >= params.epochs:
            return (
                f"free_epochs {params.free_epochs} leaves none of {params.epochs} epochs for resetting "
                "gradients, which is what lets channels go; lower it"
            )
        return super().check(params)

    @classmethod
    def check_network(cls, trunk: nn.Module) -> None:
        """There must be a block that can be pruned."""
        from models.pruning.indicators import find_sites

        find_sites(trunk)

    @classmethod
    def teacher_params(cls, params: Params) -> dict[str, Any]:
        """The same settings, for as many epochs as the teacher has of its own."""
        return {**params.shared(), "epochs": params.teacher_epochs}

    def parameter_groups(self, network: nn.Module) -> list[dict[str, Any]]:
        """Indicators may have a rate of their own."""
        indicators = [indicator.weight for indicator in self._indicators.values()]
        apart = {id(parameter) for parameter in indicators}
        trunk, head = super().parameter_groups(network)
        trunk["params"] = [parameter for parameter in trunk["params"] if id(parameter) not in apart]
        return [trunk, {"params": indicators, "lr_scale": self.params.indicator_lr_scale}, head]

    def terms(self, outputs: RetrievalOutputs, batch: DistillationBatch) -> dict[str, Tensor]:
        """Retrieval losses, soft targets, fit of every block, and before resetting the lasso."""
        import torch
        from torch.nn import functional as F

        from models.pruning.gradient_reset import lasso

        p = self.params
        wanted = batch.teachers[0] @ self.task.network_tensors[0]["classifier"].T
        said, taught = (F.log_softmax(logits / p.temperature, dim=1) for logits in (outputs.logits, wanted))
        soft = F.kl_div(said, taught, reduction="batchmean", log_target=True)
        teacher = {name: seen.pooled.float() for name, seen in self._seen.items()}
        sites = self._indicators.items()
        fit = [(teacher[name] - indicator.before.float()).norm(dim=1).mean() for name, indicator in sites]
        terms = super().terms(outputs, batch)
        terms["soft"] = p.temperature**2 * soft
        terms["fit"] = p.fit_weight * torch.stack(fit).sum()
        if batch.epoch < p.free_epochs:
            terms["lasso"] = p.lasso_weight * lasso(self._indicators)
        else:
            self._reset.update(teacher, {name: indicator.after.float() for name, indicator in sites})
        return terms

    def state_dict(self) -> dict[str, Any]:
        """What gradients are reset by."""
        return self._reset.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Reset them by that."""
        self._reset.load_state_dict(state)

    def adjust_gradients(self, epoch: int) -> None:
        """After the free epochs, channels that nothing needs feel the lasso alone."""
        if epoch >= self.params.free_epochs:
            self._reset.apply(self._indicators)

    def student(self) -> tuple[nn.Module, dict[str, Any]]:
        """Pruned trunk and embedding; the channels that are left are the architecture."""
        from models.layers.embeddings import embedded
        from models.pruning.prune import prune

        pruned, self._channels = prune(self.net.trunk, self.params.threshold)
        return embedded(pruned, self.net.neck), {"channels": self._channels, **super().student()[1]}

    def summary(self) -> dict[str, Any]:
        """By block: all channels, those that are left, and those whose gradients were reset."""
        return {
            "channels_before": {name: len(seen.weight) for name, seen in self._indicators.items()},
            "channels": self._channels,
            "reset_channels": {name: int((~mask).sum()) for name, mask in self._reset.masks.items()},
        }
