"""Octets cut into pieces anywhere, for the property every reader must have: cuts change nothing."""

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# What the grammar of lines and dots is made of, and little else, so that every border is met.
wire = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"\0", b"a", b"bcdef"]),
    max_size=24,
).map(b"".join)

content = st.one_of(wire, st.binary(max_size=60)).map(lambda octets: octets + b"\r\n")


def octet_by_octet(data: bytes) -> list[bytes]:
    """Each octet on its own: all cuts at once."""
    return [data[at : at + 1] for at in range(len(data))]


def pieces(data: bytes) -> SearchStrategy[list[bytes]]:
    """The data cut at any places, empty pieces among them."""

    def cut(places: list[int]) -> list[bytes]:
        borders = [0, *sorted(places), len(data)]
        return [data[a:b] for a, b in zip(borders, borders[1:], strict=False)]

    return st.lists(st.integers(0, len(data)), max_size=8).map(cut)
