"""Apache Arrow: rows and tokens in Parquet files, and streams of record batches that fit in no memory at once."""

from hashcomb.integrations.arrow.parquet import ParquetRows, ParquetTokens, ParquetTokenWriter, ParquetWriter
from hashcomb.integrations.arrow.streams import decode_stream, encode_stream, write_tokens

__all__ = (
    "ParquetRows",
    "ParquetTokenWriter",
    "ParquetTokens",
    "ParquetWriter",
    "decode_stream",
    "encode_stream",
    "write_tokens",
)
