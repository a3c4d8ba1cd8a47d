"""Where a provider may be. A provider's URL is typed by an admin and called by the gateway, so it is checked when it is
written, and what its host then resolves to when it is called (noria.gateway.resolver). A leaf that the gateway imports.

Link-local and metadata addresses are always refused, in whatever notation: they answer with the credentials of the machine
that Noria runs on. Loopback and private ones are refused where the settings say so; then a name is also resolved.
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from noria.core.errors import BadInput

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_METADATA = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_METADATA_ADDRESSES = frozenset(
    map(ipaddress.ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"))
)


def check_base_url(url: str, *, allow_private: bool) -> str:
    """`url` without a slash at its end. Raises BadInput for one that a provider may not have."""
    text = url.strip().rstrip("/")
    parts = _split(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadInput("A provider's address begins with http:// or https:// and a host.", hint=_EXAMPLE)
    if parts.username is not None or parts.password is not None:
        raise BadInput("A provider's address holds no user or password.", hint="Give the key as api_key.")
    if parts.query or parts.fragment or not text.isprintable() or " " in text or len(text) > 2000:
        raise BadInput("A provider's address is only scheme, host and path.", hint=_EXAMPLE)
    host = parts.hostname.rstrip(".").lower()
    address = _literal(host)
    if is_metadata_name(host) or (address is not None and _is_metadata(address)):
        raise BadInput("That address belongs to a machine's metadata service, not to a provider.", hint=_EXAMPLE)
    if not allow_private:
        _check_public(host, address)
    return text


def is_metadata_name(host: str) -> bool:
    """Whether a name is one under which clouds serve a machine's credentials."""
    return host.rstrip(".").lower() in _METADATA


def is_refused(address: str, *, allow_private: bool) -> bool:
    """Whether nothing may be called at an IP address, as a resolver or a socket writes it. What is none is refused."""
    try:
        found = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return True
    return _is_metadata(found) or not (allow_private or found.is_global)


_EXAMPLE = "Like https://api.openai.com/v1."


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises when it is none
    except ValueError as error:
        raise BadInput("That is no address.", hint=_EXAMPLE) from error
    return parts


def _literal(host: str) -> _Address | None:
    """The address that `host` writes out, also in the old notations that C libraries read (0x7f.1, 2130706433)."""
    try:
        address: _Address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, UnicodeEncodeError):
            return None
    return _unwrapped(address)


def _unwrapped(address: _Address) -> _Address:
    """The IPv4 address inside an IPv6 one that leads to it: mapped, compatible, 6to4, Teredo, NAT64."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64 or (int(address) >> 32 == 0 and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1] or address


def _is_metadata(address: _Address) -> bool:
    return address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA_ADDRESSES


def _check_public(host: str, address: _Address | None) -> None:
    addresses = [address] if address is not None else _resolved(host)
    if any(not one.is_global for one in addresses):
        raise BadInput(
            "This installation refuses providers on loopback and private addresses.",
            hint="Set allow_private_providers to true if that is meant.",
        )


def _resolved(host: str) -> list[_Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadInput(f"The host {host[:100]!r} cannot be found.", hint="Check its spelling.") from error
    return [_unwrapped(ipaddress.ip_address(str(entry[4][0]).partition("%")[0])) for entry in found]
