"""Sums of randomized updates under Flower's own secure aggregation, SecAgg+."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.common import ndarrays_to_parameters, parameters_to_ndarrays
from flwr.server.strategy import FedAvg
from flwr.server.workflow import SecAggPlusWorkflow
from numpy.typing import ArrayLike, NDArray

from hashcomb.channels import Channel
from hashcomb.errors import ChannelError, DataError, HashcombError, ProtocolError, SpecError
from hashcomb.integrations.flower.client import failure
from hashcomb.integrations.flower.records import arrays_of, record_of
from hashcomb.keys import Keystream
from hashcomb.parameters.rounding import rounded_at_random

if TYPE_CHECKING:
    from hashcomb.privacy import L2Clip, SumPrivacy

__all__ = ("SumMod", "SumSpec", "SumStrategy", "secagg_workflow")

Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)
_MODULUS = 1 << 32  # of Flower's masks
_LINEAR = 1e-9
_INWARD = 1 - 1e-12  # a norm computed in doubles may come out a little too long


@dataclass(frozen=True)
class SumSpec:
    """What clients agree on for sums: the tensors, how updates are clipped, and the channel of each coordinate.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        The tensors of the model, in order.
    channel : Channel
        `RQM` or `PoissonBinomial`, bound to its symbols: the mean of its report is a linear function of the symbol.
    norm : float
        Largest Euclidean norm of a client's update.
    coordinate : float
        Each coordinate of the update is clipped to plus and minus this.

    Raises
    ------
    ChannelError
        If the mean of the channel's reports is not linear in the symbol, or a bound is no positive number.

    Notes
    -----
    Privacy: see `privacy`. An update is what training changed: the model after it minus the model before.
    """

    shapes: Mapping[str, tuple[int, ...]]
    channel: Channel
    norm: float
    coordinate: float

    def __post_init__(self) -> None:
        """Refuse what cannot be summed; raise `ChannelError`."""
        self._clip()
        places, means = self._line()
        if np.abs(means - (means[0] + (means[-1] - means[0]) * places)).max() > _LINEAR * self.channel.n_reports:
            problem = f"the mean report of {self.channel.kind} is no linear function of the symbol"
            raise ChannelError(problem, hint="use RQM or PoissonBinomial")

    @classmethod
    def of(cls, arrays: Mapping[str, ArrayLike], channel: Channel, *, norm: float, coordinate: float) -> SumSpec:
        """Take the shapes from a model.

        Parameters
        ----------
        arrays : mapping of str to array_like
            The public initial model.
        channel : Channel
            As for the class.
        norm, coordinate : float
            As for the class.
        """
        return cls({str(name): np.shape(array) for name, array in arrays.items()}, channel, norm, coordinate)

    @property
    def n_parameters(self) -> int:
        """Number of coordinates."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def privacy(self, n_honest: int, *, rounds: int = 1) -> SumPrivacy:
        """Return what all sums together tell of one client.

        Parameters
        ----------
        n_honest : int
            How many clients' reports are in every sum that is opened, those that collude with the server not
            counted: at most the threshold that `secagg_workflow` was given.
        rounds : int, optional
            In how many rounds a client takes part.

        Notes
        -----
        Privacy: ``privacy(n).epsilon(delta)`` holds for any two updates of one client, in all rounds, whatever
        the others send, as long as secure aggregation shows the server nothing but sums of at least `n_honest`
        clients. ``privacy(n).local(alpha)`` is what a single report costs if it does show more.
        """
        from hashcomb.privacy import SumPrivacy  # noqa: PLC0415 SciPy takes a second to load, and tokens do without

        return SumPrivacy.of(self.channel, n_honest, coordinates=self.n_parameters, rounds=rounds, clip=self._clip())

    def _clip(self) -> L2Clip:
        from hashcomb.privacy import L2Clip  # noqa: PLC0415 as above

        return L2Clip(norm=self.norm, coordinate=self.coordinate)

    def reports(self, update: Mapping[str, ArrayLike]) -> NDArray[np.int64]:
        """Clip an update, round it without bias to the channel's symbols, and randomize it.

        Parameters
        ----------
        update : mapping of str to array_like
            What training changed.

        Returns
        -------
        ndarray of int64, shape (n_parameters,)
            From 0 to ``n_reports - 1``.

        Raises
        ------
        DataError
            If a tensor is missing, has another shape, or holds NaN or infinity.

        Notes
        -----
        Privacy: see `privacy`; every call costs it again. Randomness comes from AES-256-CTR under a fresh secret.
        """
        flat = self._flat(update)
        flat *= min(1.0, self.norm / (float(np.linalg.norm(flat)) or 1.0)) * _INWARD
        symbols = self.channel.n_symbols or 0
        place = (np.clip(flat / self.coordinate, -1, 1) + 1) / 2 * (symbols - 1)
        words = Keystream().words(0, 2 * len(flat))
        points = rounded_at_random(place, symbols - 1, words[: len(flat)])
        return self.channel.sample(points, words[len(flat) :].copy()).astype(np.int64)

    def mean(self, total: ArrayLike, n_clients: int) -> dict[str, Floats]:
        """Return the unbiased estimate of the mean update from the sum of reports.

        Parameters
        ----------
        total : array_like of int, shape (n_parameters,)
            Sum of the reports of all clients.
        n_clients : int
            How many they were.

        Returns
        -------
        dict of str to ndarray of float64
            The tensors.
        """
        _, means = self._line()
        reports = np.asarray(total, dtype=np.float64) / n_clients
        flat = self.coordinate * (2 * (reports - means[0]) / (means[-1] - means[0]) - 1)
        return self._tensors(flat)

    def _line(self) -> tuple[Floats, Floats]:
        """Return the symbols, from 0 to 1, and the mean report of each."""
        matrix = self.channel.matrix()
        return np.linspace(0, 1, len(matrix)), matrix @ np.arange(matrix.shape[1])

    def _flat(self, update: Mapping[str, ArrayLike]) -> Floats:
        if list(update) != list(self.shapes):
            raise DataError("the model's tensors are not those of the SumSpec")
        parts = []
        for name, shape in self.shapes.items():
            array = np.asarray(update[name], dtype=np.float64)
            if array.shape != tuple(shape):
                raise DataError(f"tensor {name!r} has another shape than {tuple(shape)}")
            if not np.isfinite(array).all():
                raise DataError(f"tensor {name!r} holds NaN or infinity", hint="training has diverged")
            parts.append(array.ravel())
        return np.concatenate(parts)

    def _tensors(self, flat: Floats) -> dict[str, Floats]:
        ends = np.cumsum([math.prod(shape) for shape in self.shapes.values()])[:-1]
        pieces = zip(self.shapes.items(), np.split(flat, ends), strict=True)
        return {name: piece.reshape(shape) for (name, shape), piece in pieces}

    @property
    def half_range(self) -> int:
        """Half of the range of integers that SecAgg+ is told to carry: a power of two, so that nothing is rounded."""
        return 1 << max(0, (self.channel.n_reports - 1).bit_length() - 1)


def secagg_workflow(spec: SumSpec, n_clients: int, n_honest: int, **options: Any) -> SecAggPlusWorkflow:
    """Return Flower's SecAgg+ set so that it carries integers exactly.

    SecAgg+ clips floats to ``[-c, c]``, scales them to ``[0, q]``, rounds at random, multiplies by a weight and adds
    masks modulo 2^32. With q = 2 c, a power of two, weight 1 for everybody and integers in ``[-c, c]`` nothing is
    clipped, scaled or rounded, and the sum of n clients is exact below 2^32.

    Parameters
    ----------
    spec : SumSpec
        What clients agreed on.
    n_clients : int
        How many are asked in a round; everybody shares its keys with everybody.
    n_honest : int
        Threshold: with fewer than so many clients left, no sum is opened and the round is lost. More than half of
        the clients.
    **options
        Further options of ``SecAggPlusWorkflow``, such as ``timeout``.

    Raises
    ------
    SpecError
        If the threshold is not above half of the clients, or sums could reach 2^32.

    Notes
    -----
    Privacy: SecAgg+ protects from a server that follows the protocol. In flwr 1.41 the masks come from NumPy's
    Mersenne Twister, seeded with 32 bits (the 256-bit seed folded by XOR): whoever tries 2^32 seeds, or solves the
    generator's linear recurrence over many coordinates, can remove masks. Against such a server, only
    ``SumSpec.privacy(...).local`` holds.
    """
    if not n_clients / 2 < n_honest <= n_clients:
        raise SpecError(f"must be more than half of the {n_clients} clients, and not more than all", path="n_honest")
    wide = 2 * spec.half_range
    if wide * n_clients >= _MODULUS:
        raise SpecError(f"sums of {n_clients} clients reach 2^32", path="channel", hint="use fewer levels")
    threshold = n_honest if n_honest < n_clients else 1.0  # Flower wants all of them as a share
    return SecAggPlusWorkflow(
        num_shares=n_clients, reconstruction_threshold=threshold, max_weight=1.0, clipping_range=float(spec.half_range),
        quantization_range=wide, modulus_range=_MODULUS, **options,
    )  # fmt: skip


class SumMod:
    """Send randomized reports of what training changed, through SecAgg+.

    Put it behind Flower's own mod: ``ClientApp(mods=[secaggplus_mod, SumMod(spec)])``. The app is one with
    ``@app.train()`` and ``@app.evaluate()``, as for `TokenMod`.

    Parameters
    ----------
    spec : SumSpec
        What the clients agreed on.

    Notes
    -----
    Privacy: see `SumSpec.privacy`. Every client counts the same, so that its number of rows stays with it. Metrics
    of training do not leave; those of the evaluation do.
    """

    def __init__(self, spec: SumSpec) -> None:
        self.spec = spec

    def __call__(self, message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        """Handle a message of Flower's workflow for the app; raise `ProtocolError` if the app fails."""
        try:
            return self._handle(message, context, call_next)
        except HashcombError:
            raise
        except Exception as error:
            _log.exception("the client app failed; the server is told the type of the error only")
            raise ProtocolError(failure(error)) from None  # Flower sends the text of an error to the server

    def _handle(self, message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        training = message.metadata.message_type.partition(".")[0] == "train"
        ins = "fitins" if training else "evaluateins"
        model = _legacy_arrays(message.content.array_records[f"{ins}.parameters"], self.spec)
        config = ConfigRecord(dict(message.content.config_records[f"{ins}.config"]))
        message.content = RecordDict({"arrays": record_of(model), "config": config})
        reply = call_next(message, context)
        if reply.has_error():
            return reply
        content = self._trained(reply, model) if training else _evaluated(reply)
        return Message(content, reply_to=message)

    def _trained(self, reply: Message, model: Mapping[str, ArrayLike]) -> RecordDict:
        records = list(reply.content.array_records.values())
        if len(records) != 1:
            raise ProtocolError(f"the app's reply has {len(records)} records of arrays, not one")
        trained = arrays_of(records[0])
        if list(trained) != list(model):
            raise DataError("the model's tensors are not those of the SumSpec")
        reports = self.spec.reports({name: np.subtract(trained[name], model[name]) for name in model})
        content = _legacy_reply("fitres", {"num_examples": 1}, {})
        content["fitres.parameters"] = ArrayRecord([(reports - self.spec.half_range).astype(np.float64)])
        return content


class SumStrategy(FedAvg):  # type: ignore[misc]
    """Add the mean of the clients' randomized updates to the model.

    Parameters
    ----------
    spec : SumSpec
        What the clients agreed on.
    initial : mapping of str to array_like
        The public initial model.
    **options
        As for Flower's ``flwr.server.strategy.FedAvg``.

    Attributes
    ----------
    model : dict of str to ndarray of float64
        The model, which the server has in the clear: what protects the clients is the noise in it.
    clients : list of int
        How many clients' reports were in the sum of each round that was opened.
    """

    def __init__(self, spec: SumSpec, initial: Mapping[str, ArrayLike], **options: Any) -> None:
        self.spec = spec
        self.model = {name: np.array(array, dtype=np.float64) for name, array in initial.items()}
        self.clients: list[int] = []
        options.setdefault("on_fit_config_fn", _round_config)
        options.setdefault("on_evaluate_config_fn", _round_config)
        super().__init__(initial_parameters=self._parameters(), **options)

    def aggregate_fit(self, _round: int, results: list[Any], _failures: list[Any]) -> tuple[Any, dict[str, Any]]:
        """Add the mean update to the model; SecAgg+ has put the same sum into every result."""
        if not results:
            return None, {}
        mean = parameters_to_ndarrays(results[0][1].parameters)[0]
        total = np.rint((mean + self.spec.half_range) * len(results))
        self.clients.append(len(results))
        for name, update in self.spec.mean(total, len(results)).items():
            self.model[name] = self.model[name] + update
        return self._parameters(), {}

    def _parameters(self) -> Any:
        return ndarrays_to_parameters(list(self.model.values()))


def _round_config(number: int) -> dict[str, Any]:
    return {"server-round": number}


def _legacy_arrays(record: ArrayRecord, spec: SumSpec) -> dict[str, NDArray[Any]]:
    """Return the model that the workflow sends, whose tensors have numbers for names."""
    arrays = list(arrays_of(record).values())
    if [array.shape for array in arrays] != [tuple(shape) for shape in spec.shapes.values()]:
        raise DataError("the model that the server sent has other tensors than the SumSpec")
    return dict(zip(spec.shapes, arrays, strict=True))


def _legacy_reply(kind: str, numbers: Mapping[str, float], metrics: Mapping[str, Any]) -> RecordDict:
    """Return a reply as the workflow reads it."""
    content = RecordDict({f"{kind}.{name}": MetricRecord({name: value}) for name, value in numbers.items()})
    content[f"{kind}.metrics"] = ConfigRecord(dict(metrics))
    content[f"{kind}.status"] = ConfigRecord({"code": 0, "message": ""})
    return content


def _evaluated(reply: Message) -> RecordDict:
    """Translate the app's metrics: Flower's workflow wants a loss beside the number of rows."""
    metrics: dict[str, Any] = {}
    for record in reply.content.metric_records.values():
        metrics |= dict(record)
    rows, loss = metrics.pop("num-examples", 1), metrics.pop("loss", 0.0)
    return _legacy_reply("evaluateres", {"num_examples": int(rows), "loss": float(loss)}, metrics)
