"""Parameters and gradients of a torch model as tokens, for FedAvg or a loop of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hashcomb import Key
from hashcomb.counts import ParameterCounts, ParameterTokens
from hashcomb.errors import DataError
from hashcomb.parameters import ParameterCodec, ParameterSpec

__all__ = ("GradientTokens", "decode_counts", "encode_state_dict", "parameter_spec")

Model = nn.Module | Mapping[str, Any]
Exchange = Callable[[ParameterTokens], ParameterCounts | ParameterTokens]

_DESCRIBE = "describe dict(model.named_parameters()): no buffers, and shared parameters once"
_NUMPY_HAS = (torch.float16, torch.float32, torch.float64)


def parameter_spec(model: Model, *, clip: float | Mapping[str, float], **rules: Any) -> ParameterSpec:
    """Describe the floating-point tensors of a model; their values are not looked at.

    Parameters
    ----------
    model : Module, or mapping of str to Tensor
        A module counts as its ``state_dict``; pass ``dict(model.named_parameters())`` to leave buffers out. Whole
        numbers and truth values are no parameters. Types that NumPy lacks (bfloat16) travel as float32.
    clip : float, or mapping of str to float
        The range of coordinates, for all tensors or for each.
    **rules
        ``depth``, ``per``, ``rounding`` and ``channel``, as for `hashcomb.parameters.ParameterSpec.of`.

    Returns
    -------
    ParameterSpec
        All owners must have the same.
    """
    return ParameterSpec.of({name: _outline(tensor) for name, tensor in _learned(model)}, clip=clip, **rules)


def encode_state_dict(
    model: Model, spec: ParameterSpec, key: Key, *, round: int, seed: int | None = None
) -> ParameterTokens:
    """Encode the parameters of a model to tokens, which a server counts without the Key.

    Parameters
    ----------
    model : Module, or mapping of str to Tensor
        As for `parameter_spec`, on any device.
    spec : ParameterSpec
        What the owners agreed on.
    key : Key
        The secret that they share, and the server never has.
    round : int
        Number of the round, a public salt. Use each once.
    seed : int, optional
        Makes rounding and reports repeatable, for tests; such a run carries no privacy.

    Returns
    -------
    ParameterTokens
        Shape (n_parameters,), uint64.

    Raises
    ------
    DataError
        If a tensor is missing, not agreed on, of another shape, or holds NaN or infinities; the message names it.

    Notes
    -----
    Privacy: tokens leave the owner; `hashcomb.parameters.ParameterCodec` says what they show, and what a channel adds.
    """
    return ParameterCodec(spec, key, round=round).encode(_arrays(model), seed=seed)


def decode_counts(
    counts: ParameterCounts | ParameterTokens, spec: ParameterSpec, key: Key, *, round: int, like: Model
) -> dict[str, Any]:
    """Decode what a server counted to a ``state_dict``: the weighted mean of the owners' parameters.

    Parameters
    ----------
    counts : ParameterCounts or ParameterTokens
        What a server counted, or the tokens of one owner.
    spec : ParameterSpec
        What the owners agreed on.
    key : Key
        The secret that they share.
    round : int
        Number of the round.
    like : Module, or mapping of str to Tensor
        The owner's own model: results have its types and devices, and what is not in the spec (whole numbers such as
        ``num_batches_tracked``, truth values) is copied from it.

    Returns
    -------
    dict of str to Tensor
        For ``load_state_dict``.

    Raises
    ------
    DataError
        If a tensor of the spec is missing in the model or has another shape there, or a token was not issued.
    FingerprintError
        If the tokens were made under another spec, Key or round.
    """
    own = _state(like)
    _check_places(own, spec)
    decoded = ParameterCodec(spec, key, round=round).decode(counts)
    return {name: _place(decoded.get(name), tensor) for name, tensor in own.items()}


class GradientTokens:
    """Let every step of an optimizer see what counts of tokens of the gradients decode to.

    Before each step gradients are clipped, rounded to the grid without bias, and encoded under a round of their own;
    `exchange` takes the tokens to the other owners, and what it brings back is decoded to the mean gradient. Where a
    step takes a closure that computes gradients (LBFGS, skorch, Lightning), that happens after each of its calls.

    Parameters
    ----------
    optimizer : Optimizer
        Its steps count the rounds.
    model : Module, or mapping of str to Parameter
        Names the parameters, as the spec does. One without a gradient counts as having zeros; one that is frozen
        (``requires_grad`` is False) does too, and stays as it is.
    spec : ParameterSpec
        Of the gradients: ``parameter_spec(dict(model.named_parameters()), clip=...)``. All of them must be in it.
    key : Key
        The secret that the owners share.
    round : int, optional
        Number of the first step's round; each step adds one, or each call of its closure.
    exchange : callable, optional
        Takes `ParameterTokens`, gives `ParameterCounts`. By default the owner is alone, and decodes its own tokens.

    Attributes
    ----------
    round : int
        Number of the next step's round.

    Raises
    ------
    DataError
        At a step, if a gradient holds NaN or infinities, or a tensor does not fit the spec; the message names it. Also
        if a GradScaler has not taken its scale off yet (``scaler.unscale_(optimizer)``), as with fused optimizers.

    Notes
    -----
    It ends with `remove`, or with the block where it is used as a context manager. Gradients come back dense, which
    ``SparseAdam`` refuses. A step that a GradScaler skips uses no round: owners who exchange must skip the same ones.

    Privacy: as `encode_state_dict`, and each step is a round: with a channel, each costs its epsilon again.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        model: Model,
        spec: ParameterSpec,
        key: Key,
        *,
        round: int = 0,
        exchange: Exchange | None = None,
    ) -> None:
        self.round = round
        self._spec, self._key, self._exchange = spec, key, exchange
        self._parameters: dict[str, Tensor] = dict(
            model.named_parameters() if isinstance(model, nn.Module) else model.items()
        )
        ParameterCodec(spec, key, round=round)  # raises now what would else raise at the first step
        _check_names(self._parameters, spec)
        self._handle = optimizer.register_step_pre_hook(self._before_step)

    def remove(self) -> None:
        """Leave gradients as they are from now on."""
        self._handle.remove()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _before_step(self, optimizer: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Exchange the gradients; those that a closure will compute, after it did."""
        if getattr(optimizer, "grad_scale", None) is not None:
            raise DataError("gradients are still scaled", hint="call scaler.unscale_(optimizer) before scaler.step")
        if kwargs.get("closure") is not None:
            return args, {**kwargs, "closure": self._then_exchange(kwargs["closure"])}
        if len(args) > 1 and args[1] is not None:  # the first is the optimizer
            return (args[0], self._then_exchange(args[1]), *args[2:]), kwargs
        self._exchange_gradients()
        return args, kwargs

    def _then_exchange(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        def exchanged() -> Any:
            loss = closure()
            self._exchange_gradients()
            return loss

        return exchanged

    def _exchange_gradients(self) -> None:
        codec = ParameterCodec(self._spec, self._key, round=self.round)
        self.round += 1  # also after an error: a round is used once
        tokens = codec.encode(_arrays({name: _gradient(tensor) for name, tensor in self._parameters.items()}))
        means = codec.decode(tokens if self._exchange is None else self._exchange(tokens))
        for name, tensor in self._parameters.items():
            if tensor.requires_grad:  # else the noise of rounding a zero would move it
                tensor.grad = _place(means[name], tensor)


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        return torch.zeros_like(parameter)
    return parameter.grad.to_dense() if parameter.grad.is_sparse else parameter.grad


def _state(model: Model) -> Mapping[str, Any]:
    return model.state_dict() if isinstance(model, nn.Module) else model


def _arrays(model: Model) -> dict[str, NDArray[Any]]:
    """Return what a model learns as NumPy arrays: no whole numbers, no truth values, nothing but tensors."""
    return {name: _array(tensor) for name, tensor in _learned(model)}


def _learned(model: Model) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in _state(model).items():
        if isinstance(tensor, Tensor) and (tensor.is_floating_point() or tensor.is_complex()):  # refused by name later
            yield name, tensor


def _outline(tensor: Tensor) -> NDArray[Any]:
    """Return an array of a tensor's shape and type; there may be no values yet (the meta device)."""
    return np.broadcast_to(_array(torch.zeros((), dtype=tensor.dtype)), tuple(tensor.shape))


def _array(tensor: Tensor) -> NDArray[Any]:
    plain = tensor.detach().cpu()
    if plain.is_floating_point() and plain.dtype not in _NUMPY_HAS:
        plain = plain.float()
    array: NDArray[Any] = plain.numpy()
    return array


def _check_names(parameters: Mapping[str, Tensor], spec: ParameterSpec) -> None:
    """Raise `DataError` unless a spec describes exactly these parameters."""
    for name in parameters:
        if name not in spec.names:
            raise DataError(f"tensor {name!r} is not in the ParameterSpec", hint=_DESCRIBE)
    _check_places(parameters, spec, _DESCRIBE)


def _check_places(own: Mapping[str, Any], spec: ParameterSpec, hint: str = "pass the model that was described") -> None:
    """Raise `DataError` unless a model has a tensor for everything that a spec describes."""
    for tensor in spec.tensors:
        there = own.get(tensor.name)
        if not isinstance(there, Tensor):
            raise DataError(f"tensor {tensor.name!r} is missing in the model", hint=hint)
        if tuple(there.shape) != tensor.shape:
            shape = tuple(there.shape)
            raise DataError(f"tensor {tensor.name!r} has shape {shape} in the model, agreed was {tensor.shape}")


def _place(array: NDArray[Any] | None, own: Any) -> Any:
    """Return what was decoded, of the type and on the device of the owner's tensor; a copy of that if nothing was."""
    if array is None:
        return own.detach().clone() if isinstance(own, Tensor) else own
    return torch.from_numpy(array).to(device=own.device, dtype=own.dtype)
