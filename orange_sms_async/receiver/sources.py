"""Where a request comes from, even behind proxies, and whether that source is allowed."""

import re
from collections.abc import Iterable, MutableMapping
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

import attrs

Scope = MutableMapping[str, Any]
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def header(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


@attrs.frozen
class Sources:
    allowed: list[Network]
    proxies: list[Network]

    def allow(self, scope: Scope) -> bool:
        # A stranger may send the one header that the proxy does not write, and most proxies pass
        # it on. So if both headers are there, both must name an allowed source.
        return not self.allowed or all(_within(a, self.allowed) for a in self._claims(scope))

    def _claims(self, scope: Scope) -> list[Address | None]:
        peer = _address(scope["client"][0]) if scope.get("client") else None
        if not _within(peer, self.proxies):
            return [peer]
        chains = [
            read(b",".join(lines).decode("latin-1"))
            for name, read in ((b"x-forwarded-for", _forwarded_for), (b"forwarded", _forwarded))
            if (lines := header(scope, name))
        ]
        return [self._origin(chain) for chain in chains] or [peer]

    def _origin(self, chain: list[Address | None]) -> Address | None:
        """Find the last address that is not our proxy. Anyone may have sent those before it."""
        return next((a for a in reversed(chain) if not _within(a, self.proxies)), chain[0])


def networks(given: Iterable[str | Address | Network]) -> list[Network]:
    return [ip_network(one) for one in ([given] if isinstance(given, str) else given)]


def _within(address: Address | None, networks: list[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


# An address as proxies write it: 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1],
# "[2001:db8::1]:80". "unknown" and names that hide an address (_gazonk) do not count.
_NODE = re.compile(r"(?:\[([\w:.%]+)\]|([\d.]+))(?::(?:\d+|_[\w.-]+))?|([\w:.%]+)")


def _address(node: str) -> Address | None:
    if not (found := _NODE.fullmatch(node.strip(' \t"'))):
        return None
    try:
        address = ip_address(found[1] or found[2] or found[3])
    except ValueError:
        return None
    # A socket for both families shows 192.0.2.1 as ::ffff:192.0.2.1.
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _forwarded_for(value: str) -> list[Address | None]:
    return [_address(node) for node in value.split(",")]


_PAIR = re.compile(
    r"""[ \t]*([\w!#$%&'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;\\]+)[ \t]*([;,]|\Z)"""
)


def _forwarded(value: str) -> list[Address | None]:
    """
    Read RFC 7239: `for=192.0.2.1;proto=https, for="[2001:db8::1]:80"`.

    One mistake anywhere makes all of it invalid: a quote that a stranger left open would change
    the meaning of what the proxy wrote after it.
    """
    chain: list[Address | None] = []
    nodes: list[str] = []
    position, separator = 0, ","
    while separator:
        if not (pair := _PAIR.match(value, position)):
            return [None]
        position, separator = pair.end(), pair[3]
        if pair[1].lower() == "for":
            nodes.append(pair[2])
        if separator != ";":
            chain.append(_address(nodes[0]) if len(nodes) == 1 else None)
            nodes = []
    return chain
