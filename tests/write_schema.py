"""Write the JSON Schema of a Spec into docs/reference, after the format has changed."""

from pathlib import Path

import msgspec

from hashcomb import Spec


def main() -> None:
    """Write the file."""
    path = Path(__file__).parents[1] / "docs" / "reference" / "spec.schema.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(Spec.json_schema())) + b"\n")


if __name__ == "__main__":
    main()
