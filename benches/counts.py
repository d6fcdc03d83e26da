"""Parameters as tokens: encoding, counting without the Key, decoding, and bytes on the wire.

Counting is shown as times ``np.copyto`` of the same tokens, in the same run, for models of clients that trained from
one start (at a coordinate they share a few dozen grid points) and for ones that share nothing but the grid.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Iterator

import numpy as np

from benches.timing import Case, print_table, side_by_side
from hashcomb import Key
from hashcomb.counts import ParameterCounts, ParameterTokens, count_parameters
from hashcomb.parameters import ParameterCodec, ParameterSpec

__all__ = ("main",)

KEY = Key(bytes(range(32)))
DEPTH = 8
CLIP = 1.0


def models(n_clients: int, n_parameters: int, *, related: bool) -> Iterator[dict[str, np.ndarray]]:
    """Yield clients' models in float32: near a common one, or anywhere on the grid."""
    rng = np.random.default_rng(0)
    start = 0.1 * rng.normal(size=n_parameters)
    for _ in range(n_clients):
        near = start + 0.03 * rng.normal(size=n_parameters)
        yield {"w": (near if related else rng.uniform(-CLIP, CLIP, n_parameters)).astype(np.float32)}


def counting(n_clients: int, n_parameters: int, *, related: bool) -> tuple[list[Case], ParameterCounts]:
    """Count on one thread, beside a copy of the tokens."""
    like = {"w": np.zeros(n_parameters, dtype=np.float32)}
    codec = ParameterCodec(ParameterSpec.of(like, clip=CLIP, depth=DEPTH), KEY, round=1)
    tokens: list[ParameterTokens] = [codec.encode(model) for model in models(n_clients, n_parameters, related=related)]
    target = np.empty((n_clients, n_parameters), dtype=np.uint64)
    weights = list(range(100, 100 + n_clients))

    def copy() -> None:
        for row, own in zip(target, tokens, strict=True):
            np.copyto(row, own)

    def count() -> None:
        count_parameters(tokens, weights, n_threads=1)

    cases = {"np.copyto of the tokens": copy, "count_parameters, one thread": count}
    timed = side_by_side(cases, n_clients * n_parameters, rounds=7)
    return timed, count_parameters(tokens, weights)


def one_model(n_parameters: int) -> list[Case]:
    """Encode one model and decode the counts of ten, on one thread."""
    own = list(models(10, n_parameters, related=True))
    codec = ParameterCodec(ParameterSpec.of(own[0], clip=CLIP, depth=DEPTH), KEY, round=1, n_threads=1)
    counts = count_parameters([codec.encode(model) for model in own])
    distinct = len(counts.tokens) / n_parameters
    source, target = own[0]["w"].astype(np.float64), np.empty(n_parameters)
    return side_by_side(
        {
            "np.copyto of 8 bytes a parameter": lambda: np.copyto(target, source),
            "encode, stochastic rounding": lambda: codec.encode(own[0]),
            f"decode, {distinct:.1f} tokens a parameter": lambda: codec.decode(counts),
        },
        n_parameters,
        rounds=5,
    )


def wire(n_clients: int, n_parameters: int, *, related: bool) -> str:
    """Return a row of bytes a parameter, up from one client and down to one, beside float32."""
    own = list(models(n_clients, n_parameters, related=related))
    codec = ParameterCodec(ParameterSpec.of(own[0], clip=CLIP, depth=DEPTH), KEY, round=1)
    tokens = [codec.encode(model) for model in own]
    counts = count_parameters(tokens, [100] * n_clients)
    up, down = (len(what.to_bytes()) / n_parameters for what in (tokens[0], counts))
    distinct = len(counts.tokens) / n_parameters
    kind = "related" if related else "unrelated"
    return f"| {n_clients}, {kind} | {distinct:.1f} | 4 / {up:.1f} | 4 / {down:.1f} | {(up + down) / 8:.1f} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benches counts")
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--parameters", type=int, default=200_000)
    args, _ = parser.parse_known_args()
    for related in (True, False):
        cases, counts = counting(args.clients, args.parameters, related=related)
        distinct = len(counts.tokens) / args.parameters
        kind = "related" if related else "unrelated"
        title = f"Counting {args.clients} clients x {args.parameters:,} parameters, {kind} models"
        print_table(f"{title} ({distinct:.1f} tokens a parameter; CPU time)", cases, "np.copyto")
        size = sum(part.nbytes for part in (counts.offsets, counts.tokens, counts.weights))
        print(
            f"\nthe counts take {size / 2**20:,.0f} MiB, the tokens {args.clients * args.parameters * 8 / 2**20:,.0f}"
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"peak memory of this process so far, with tokens and the copy: {peak / 2**10:,.0f} MiB")
    print_table(f"One model of {args.parameters:,} parameters, one thread", one_model(args.parameters), "np.copyto")
    print("\n### Bytes a parameter on the wire in a round, float32 FedAvg / tokens (depth 8, equal row counts)\n")
    print("| clients | tokens a parameter | up, each client | down, each client | times FedAvg |")
    print("|---|---:|---:|---:|---:|")
    for n_clients, related in ((10, True), (10, False), (100, True)):
        print(wire(n_clients, 20_000, related=related), flush=True)
