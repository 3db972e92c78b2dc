"""What travels between Orange and us, one file a case; README.md says where each comes from."""

from pathlib import Path


def sample(name: str) -> bytes:
    return Path(__file__).parent.joinpath(name).read_bytes()
