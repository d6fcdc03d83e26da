"""What the owners agree on before they encode models: tensors, their ranges, the grid and the channel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self

import msgspec
import numpy as np
from msgspec.structs import force_setattr as _force
from numpy.typing import NDArray

from hashcomb.channels import Channel, kind_of
from hashcomb.counts import MAX_REPORTS, ParameterHeader
from hashcomb.documents import parse_json, to_record
from hashcomb.errors import ChannelError, SpecError, SpecVersionError
from hashcomb.parameters.costs import ParameterPrivacy, cost_in_sums, cost_of_reports
from hashcomb.scalars import number
from hashcomb.spec import MAX_NAME, ChannelSpec
from hashcomb.spec.parts import FrozenStruct, integer

__all__ = ("MAX_PARAMETER_DEPTH", "ParameterSpec", "Tensor")

MAX_PARAMETER_DEPTH = 12
"""Largest depth of the grid of parameters."""
_MAX_SIZE = 1 << 40
_CLIPS = (2.0**-100, 2.0**100)  # within which neither a grid nor a mean over it leaves double precision
_DTYPES = ("float16", "float32", "float64")
_MAX_AXES = 64  # as in NumPy


class Tensor(FrozenStruct, frozen=True):
    """One tensor of a model.

    Parameters
    ----------
    name : str
        As in the model's state_dict.
    shape : tuple of int
        Empty for a scalar.
    dtype : {"float16", "float32", "float64"}
        What decoding gives.
    clip : float
        Coordinates are clipped to [-clip, clip], whose ends are points of the grid, and numbers of the type.

    Raises
    ------
    SpecError
        If a field is out of its range; ``path`` names it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Literal["float16", "float32", "float64"]
    clip: float

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not 0 < len(self.name) <= MAX_NAME or not self.name.isprintable():
            raise SpecError(f"must be printable text of 1 to {MAX_NAME} characters", path="name")
        if not isinstance(self.shape, tuple) or len(self.shape) > _MAX_AXES:
            raise SpecError(f"must be a tuple of at most {_MAX_AXES} whole numbers", path="shape")
        for axis, size in enumerate(self.shape):
            integer(size, 1, _MAX_SIZE, f"shape[{axis}]")
        if self.dtype not in _DTYPES:
            raise SpecError(f"must be one of {', '.join(_DTYPES)}", path="dtype", hint="leave whole numbers out")
        _force(self, "clip", number(self.clip, "clip"))
        if not _CLIPS[0] <= self.clip <= min(_CLIPS[1], float(np.finfo(self.dtype).max)):
            raise SpecError(f"must be positive, and neither tiny nor huge for {self.dtype}", path="clip")

    @property
    def size(self) -> int:
        """Number of coordinates."""
        size = 1
        for length in self.shape:
            size *= length
        return size


class ParameterSpec(FrozenStruct, frozen=True):
    """What the owners agree on to encode models; like a `hashcomb.Spec`, it holds no key and no salt.

    Point i of a tensor's grid stands for ``-clip + 2 clip i / (2**depth - 1)``.

    Parameters
    ----------
    tensors : tuple of Tensor
        In the order in which they are encoded.
    depth : int
        A grid has ``2**depth`` points; 1 to 12.
    rounding : {"stochastic", "nearest"}
        To one of the two grid points next to a value, at random and without bias, or to the nearer one.
    channel : ChannelSpec, optional
        The randomizer of grid points. Its reports must have an unbiased code.
    version : int
        Version of this format.

    Raises
    ------
    SpecError
        If a field is out of its range or does not fit the others; ``path`` names it.
    SpecVersionError
        If `version` is not one that this library reads.

    Examples
    --------
    >>> import numpy as np
    >>> spec = ParameterSpec.of({"w": np.zeros((3, 2)), "b": np.zeros(2)}, clip=1.0)
    >>> spec.n_parameters, spec.depth, ParameterSpec.from_json(spec.to_json()) == spec
    (8, 8, True)
    """

    tensors: tuple[Tensor, ...]
    depth: int = 8
    rounding: Literal["stochastic", "nearest"] = "stochastic"
    channel: ChannelSpec | None = None
    version: int = 1

    def __post_init__(self) -> None:
        if type(self.version) is not int or self.version != 1:
            raise SpecVersionError("was written in another version of the format", path="version")
        integer(self.depth, 1, MAX_PARAMETER_DEPTH, "depth")
        if self.rounding not in ("stochastic", "nearest"):
            raise SpecError("must be 'stochastic' or 'nearest'", path="rounding")
        _check_tensors(self.tensors)
        if self.channel is not None and not isinstance(self.channel, ChannelSpec):
            raise SpecError("is no ChannelSpec", path="channel", hint="pass channel.to_spec()")
        self.randomizer()

    @classmethod
    def of(
        cls,
        arrays: Mapping[str, Any],
        *,
        clip: float | Mapping[str, float],
        depth: int = 8,
        per: Literal["tensor", "model"] = "tensor",
        rounding: Literal["stochastic", "nearest"] = "stochastic",
        channel: Channel | ChannelSpec | None = None,
    ) -> Self:
        """Describe the tensors of a model; their values are not looked at.

        Parameters
        ----------
        arrays : mapping of str to array
            The model: only names, shapes and types are taken.
        clip : float, or mapping of str to float
            The range of coordinates, for all tensors or for each.
        depth : int, optional
            As for the class.
        per : {"tensor", "model"}, optional
            Whether each tensor has a range of its own, or all have the largest of those given.
        rounding : {"stochastic", "nearest"}, optional
            As for the class.
        channel : Channel or ChannelSpec, optional
            The randomizer of grid points.

        Raises
        ------
        SpecError
            If a tensor has no range, or as for the class.
        """
        if per not in ("tensor", "model"):
            raise SpecError("must be 'tensor' or 'model'", path="per")
        if not isinstance(arrays, Mapping) or not arrays:
            raise SpecError("needs a mapping of at least one tensor", path="tensors")
        integer(depth, 1, MAX_PARAMETER_DEPTH, "depth")
        clips = _clips(arrays, clip, per)
        tensors = tuple(_tensor(name, array, clips[name]) for name, array in arrays.items())
        described = channel.spec_for(1 << depth) if isinstance(channel, Channel) else channel
        return cls(tensors=tensors, depth=depth, rounding=rounding, channel=described)

    # ------------------------------------------------------------------ what it is
    @property
    def names(self) -> tuple[str, ...]:
        """Names of the tensors, in order."""
        return tuple(tensor.name for tensor in self.tensors)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of coordinates of each tensor."""
        return tuple(tensor.size for tensor in self.tensors)

    @property
    def n_parameters(self) -> int:
        """Number of coordinates of all tensors."""
        return sum(self.sizes)

    @property
    def n_points(self) -> int:
        """Points of a grid."""
        return 1 << self.depth

    def grid(self) -> NDArray[np.float64]:
        """Return the grid in units of the clip, from -1 to 1, shape (n_points,)."""
        return np.linspace(-1.0, 1.0, self.n_points)

    def randomizer(self) -> Channel | None:
        """Return the channel, bound to the points of the grid; None if there is none.

        Raises
        ------
        SpecError
            If this library has no such channel, or it cannot have these parameters or so many points.
        """
        if self.channel is None:
            return None
        try:
            channel = kind_of(self.channel.kind).from_params(dict(self.channel.params)).on(self.n_points)
        except ChannelError as error:
            raise SpecError(error.problem, path="channel", hint=error.hint) from None
        if not 2 <= channel.n_reports <= MAX_REPORTS:
            raise SpecError(f"must have 2 to {MAX_REPORTS} different reports", path="channel")
        return channel

    def header(self, *, key_id: str, round: int, dataset: str) -> ParameterHeader:
        """Return the header of tokens under this spec; a server that has the spec knows what to expect.

        Parameters
        ----------
        key_id : str
            Public name of the Key.
        round : int
            Number of the round.
        dataset : str
            Name of the training or the data set.
        """
        channel = self.randomizer()
        return ParameterHeader(
            fingerprint=self.fingerprint,
            key_id=key_id,
            round=round,
            dataset=dataset,
            names=self.names,
            sizes=self.sizes,
            n_reports=self.n_points if channel is None else channel.n_reports,
            channel=self.channel,
        )

    def privacy(
        self, *, rounds: int = 1, delta: float = 1e-5, n_honest: int | None = None, norm: float | None = None
    ) -> ParameterPrivacy:
        """Return what encoding costs a client, over all coordinates and the rounds it takes part in.

        Parameters
        ----------
        rounds : int, optional
            Rounds in which the client takes part.
        delta : float, optional
            At least 0 and below 1; above 0 for sums.
        n_honest : int, optional
            Where reports are numbers that secure aggregation opens only in sums, and each client counts the same: how
            many clients follow the protocol and do not drop out. Tokens are no such reports.
        norm : float, optional
            With `n_honest`: bound on the Euclidean norm of a client's model, all tensors together, which the client
            must see to, with some room for rounding in double precision.

        Raises
        ------
        ChannelError
            If a number is out of its range.
        SpecError
            If sums are asked about and there is no channel; if a norm is given and tensors have different clips, or
            rounding is to the nearest point, which may be farther out.

        Examples
        --------
        >>> import numpy as np
        >>> from hashcomb import RandomizedResponse
        >>> spec = ParameterSpec.of(
        ...     {"w": np.zeros(100)}, clip=1.0, depth=2, channel=RandomizedResponse(0.1, depth="leaf")
        ... )
        >>> cost = spec.privacy(rounds=10, delta=1e-6)
        >>> f"{cost.pure:.1f} {cost.epsilon:.1f}"
        '100.0 12.8'
        """
        channel = self.randomizer()
        if n_honest is None:
            if norm is not None:
                raise SpecError("is for sums: give n_honest too", path="norm")
            return cost_of_reports(channel, self.n_parameters, rounds=rounds, delta=delta)
        if channel is None:
            raise SpecError("is missing: sums of grid points hide nothing", path="channel")
        clips = {tensor.clip for tensor in self.tensors}
        if norm is not None and self.rounding != "stochastic":
            raise SpecError("a norm needs stochastic rounding", path="rounding")
        if norm is not None and len(clips) > 1:
            raise SpecError("a norm needs one clip for all tensors", path="tensors", hint="use per='model'")
        return cost_in_sums(
            channel,
            self.n_parameters,
            n_honest=n_honest,
            rounds=rounds,
            delta=delta,
            norm=norm,
            clip=None if norm is None else clips.pop(),
        )

    def canonical_bytes(self) -> bytes:
        """Return the bytes that are hashed: JSON, sorted keys, shortest round-trip floats, ASCII."""
        return json.dumps(msgspec.to_builtins(self), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the canonical bytes, 64 hexadecimal digits."""
        return hashlib.sha256(b"hashcomb parameter spec 1\0" + self.canonical_bytes()).hexdigest()

    def to_json(self) -> str:
        """Return the spec as JSON text, indented for people."""
        return json.dumps(msgspec.to_builtins(self), indent=2, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a spec from JSON of at most 64 MiB; raise `SpecError` if it is none."""
        return to_record(parse_json(text), cls)

    def __repr__(self) -> str:
        shape = f"{len(self.tensors)} tensors, {self.n_parameters} parameters, depth={self.depth}"
        return f"ParameterSpec({shape}, fingerprint={self.fingerprint[:16]})"


def _check_tensors(tensors: Any) -> None:
    if not isinstance(tensors, tuple) or not tensors:
        raise SpecError("needs a tuple of at least one tensor", path="tensors")
    seen: set[str] = set()
    for index, tensor in enumerate(tensors):
        if not isinstance(tensor, Tensor):
            raise SpecError("is no Tensor", path=f"tensors[{index}]")
        if tensor.name in seen:
            raise SpecError("occurs twice", path=f"tensors[{index}].name", hint="names tell tensors apart")
        seen.add(tensor.name)
    if sum(tensor.size for tensor in tensors) > _MAX_SIZE:
        raise SpecError(f"hold more than {_MAX_SIZE} parameters", path="tensors")


def _clips(arrays: Mapping[str, Any], clip: Any, per: str) -> dict[str, float]:
    if not isinstance(clip, Mapping):
        return dict.fromkeys(arrays, clip)
    for name in arrays:
        if name not in clip:
            raise SpecError(f"has no range for tensor {name!r}", path="clip")
    for name in clip:
        if name not in arrays:
            raise SpecError(f"names {name!r}, which is no tensor", path="clip")
    ranges = {name: number(clip[name], f"clip[{name!r}]") for name in arrays}
    return ranges if per == "tensor" else dict.fromkeys(arrays, max(ranges.values()))


def _tensor(name: Any, array: Any, clip: float) -> Tensor:
    found = np.asarray(array)
    return Tensor(name=name, shape=found.shape, dtype=found.dtype.name, clip=clip)  # type: ignore[arg-type]
