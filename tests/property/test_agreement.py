"""For random data split at random, owners agree on exactly what the pooled data would give."""

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashcomb import Quantile, quantile_edges
from hashcomb.mpc import Party, Peer, Policy, agree, free_ports
from hashcomb.mpc.protocols.quantiles import GRID_BITS
from hashcomb.order import from_keys, to_keys

DEPTH = 3
CORNERS = [0.0, -0.0, 5e-324, -5e-324, 2.2e-308, 1.0, np.nextafter(1.0, 2.0), -7.25, 1e300, -1e300, 1.7e9]
VALUES = st.one_of(st.sampled_from(CORNERS), st.integers(-3, 3).map(float), st.floats(-1e300, 1e300))


@st.composite
def partitions(draw: st.DrawFn) -> list[np.ndarray]:
    """Draw columns of values and cut their rows between owners, one of whom has a single row."""
    n_owners = draw(st.integers(3, 4))
    n_rows = draw(st.integers(n_owners, 40))
    kinds = draw(st.lists(st.sampled_from(["any", "ties", "constant"]), min_size=1, max_size=3))
    pools = {"any": VALUES, "ties": st.sampled_from([0.0, -0.0, 2.0]), "constant": st.just(draw(VALUES))}
    columns = [draw(st.lists(pools[kind], min_size=n_rows, max_size=n_rows)) for kind in kinds]
    cuts = draw(st.lists(st.integers(2, n_rows - 1), min_size=n_owners - 2, max_size=n_owners - 2).map(sorted))
    return np.split(np.array(columns).T, [1, *cuts])


def result(tables: list[np.ndarray], **policy: Any) -> list[Quantile]:
    """Let the owners agree, over sockets, on quantile combs; an owner may have no row of its own but one."""
    tables = [table if len(table) else tables[0] for table in tables]

    async def owners() -> Any:
        ports = free_ports(len(tables))
        peers = tuple(Peer(name=f"owner-{port}", host="127.0.0.1", port=port) for port in ports)
        work = [
            agree(Party(me=peer.name, peers=peers), table, Policy(**policy), depth=DEPTH)
            for peer, table in zip(peers, tables, strict=True)
        ]
        return await asyncio.gather(*work)

    agreements = asyncio.run(owners())
    assert len({agreement.spec.fingerprint for agreement in agreements}) == 1
    return [feature for feature in agreements[0].spec.features if isinstance(feature, Quantile)]


@pytest.mark.parametrize("precision", ["exact", "grid"])
@given(tables=partitions())
@settings(max_examples=12, deadline=None)
def test_edges_are_those_of_the_pooled_data(precision: str, tables: list[np.ndarray]) -> None:
    """Ties, constants, both zeros, subnormals, an owner with one row: edges are right bit for bit, or to the grid."""
    tables = [table if len(table) else tables[0] for table in tables]
    features = result(tables, precision=precision)
    for feature, column in zip(features, np.concatenate(tables).T, strict=True):
        if precision == "exact":
            assert (feature.lo, feature.hi) == (column.min(), column.max())
            expected = quantile_edges(column, 1 << DEPTH)
        else:
            assert feature.lo <= column.min()
            assert feature.hi >= column.max()
            expected = quantile_edges(to_grid(column, feature), 1 << DEPTH)
            expected = np.where(expected == feature_top(column, feature), feature.hi, expected)
        assert list(feature.edges) == expected.tolist()


def cell_width(feature: Quantile) -> np.uint64:
    """Return by how many bits cells are wider than doubles: 24 bits reach over the range."""
    span = int(to_keys(feature.hi) - to_keys(feature.lo))
    return np.uint64(max(0, span.bit_length() - GRID_BITS))


def to_grid(column: np.ndarray, feature: Quantile) -> np.ndarray:
    """Return the least value of the cell that each value lies in."""
    base, drop = to_keys(feature.lo), cell_width(feature)
    return from_keys(base + ((to_keys(column) - base) >> drop << drop))


def feature_top(column: np.ndarray, feature: Quantile) -> float:
    """Return where the edges of a feature with a single cell lie: at the agreed end, not at its only value."""
    cells = np.unique(to_grid(column, feature))
    return float(cells[0]) if len(cells) == 1 else np.inf
