"""A TCP line to a host by name, with one bound for resolving and dialling together."""

import queue
import socket
import threading
import time

_Address = tuple[socket.AddressFamily, tuple[object, ...]]


def dial(host: str, port: int, seconds: float) -> socket.socket:
    """Return a connected socket, within ``seconds``.

    Raises socket.gaierror where the name does not resolve (in time), another OSError otherwise.
    """
    until = time.monotonic() + seconds
    addresses = _resolve(host, port, seconds)
    failure: OSError = TimeoutError(f"no answer within {seconds:g} s")
    for tried, (family, address) in enumerate(addresses):
        left = until - time.monotonic()
        if left <= 0:
            break
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            # One address that swallows packets must not take the time of all the others.
            line.settimeout(left / (len(addresses) - tried))
            line.connect(address)
        except OSError as error:
            line.close()
            failure = error
            continue
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return line
    raise failure


def _resolve(host: str, port: int, seconds: float) -> list[_Address]:
    # getaddrinfo sits in C for as long as the resolver likes (resolv.conf(5): 30 s and more), and
    # nothing can interrupt it there; so it has a thread that may be left behind.
    answers: queue.SimpleQueue[list[_Address] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            answers.put(error)
        except (ValueError, OverflowError):
            answers.put(socket.gaierror(socket.EAI_NONAME, "this can be no host's name"))
        else:
            answers.put([(family, address) for family, _, _, _, address in found])

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        why = f"name resolution did not answer within {seconds:g} s"
        raise socket.gaierror(socket.EAI_AGAIN, why) from None
    if isinstance(answer, OSError):
        raise answer
    return answer
