"""PyTorch: tokens as data sets, embeddings of tokens, and parameters as tokens."""

from __future__ import annotations

from hashcomb.integrations import require

require("torch", "torch")  # before the modules below import it plainly, so that its types are known

from hashcomb.integrations.torch.dataset import TokenDataset, TokenRow, TokenRows, collate_tokens  # noqa: E402
from hashcomb.integrations.torch.embedding import CombEmbedding  # noqa: E402
from hashcomb.integrations.torch.mapped import MappedTokens, write_tokens  # noqa: E402
from hashcomb.integrations.torch.parameters import (  # noqa: E402
    GradientTokens,
    decode_counts,
    encode_state_dict,
    parameter_spec,
)
from hashcomb.integrations.torch.vocabulary import Vocabulary  # noqa: E402

__all__ = (
    "CombEmbedding",
    "GradientTokens",
    "MappedTokens",
    "TokenDataset",
    "TokenRow",
    "TokenRows",
    "Vocabulary",
    "collate_tokens",
    "decode_counts",
    "encode_state_dict",
    "parameter_spec",
    "write_tokens",
)
