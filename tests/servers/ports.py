"""Free ports on the loopback interface."""

import random
import socket

# Below Linux's ephemeral ports (ip_local_port_range: 32768 up), so that no outgoing connection
# takes one between the choice and the server's bind, or while a server is down.
_LOWEST, _HIGHEST = 12_000, 32_000

_given: set[int] = set()
_random = random.SystemRandom()


def is_free(port: int) -> bool:
    """Whether a server could bind it on 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Whether a server accepts connections on 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port(*, twin: int = 0) -> int:
    """A port not given before by this process; with `twin`, port + twin is free too."""
    while True:
        port = _random.randrange(_LOWEST, _HIGHEST - twin)
        pair = {port, port + twin}
        if not pair & _given and all(is_free(each) for each in pair):
            _given.update(pair)
            return port
