"""What owners can agree on, one a file, each usable alone (see `hashcomb.mpc.meet`).

The docstring of each says what every participant learns beyond the result.
"""

from hashcomb.mpc.protocols.categories import agree_categories
from hashcomb.mpc.protocols.epsilon import strictest
from hashcomb.mpc.protocols.keys import joint_key, round_salt
from hashcomb.mpc.protocols.means import agree_means
from hashcomb.mpc.protocols.noisy_quantiles import agree_noisy_edges
from hashcomb.mpc.protocols.quantiles import agree_edges
from hashcomb.mpc.protocols.ranges import agree_ranges
from hashcomb.mpc.protocols.robust_ranges import agree_robust_ranges
from hashcomb.mpc.protocols.rows import count_rows
from hashcomb.mpc.protocols.votes import choose, vote

__all__ = (
    "agree_categories",
    "agree_edges",
    "agree_means",
    "agree_noisy_edges",
    "agree_ranges",
    "agree_robust_ranges",
    "choose",
    "count_rows",
    "joint_key",
    "round_salt",
    "strictest",
    "vote",
)
