"""How a command ends: its exit code, one line that says what to do, and Ctrl-C."""

import asyncio
import contextlib
import enum
import os
import re
import signal
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import NoReturn

import typer

from orange_sms_async import (
    AccessDenied,
    AuthenticationFailed,
    ConnectionFailed,
    ContractRefused,
    NotSent,
    OrangeSMSError,
    OutcomeUnknown,
    Refused,
    RequestRejected,
    ServiceUnavailable,
    Throttled,
    Withheld,
)
from orange_sms_async.cli.words import echo


class ExitCode(enum.IntEnum):
    """What a command tells the shell that started it."""

    ALL_ACCEPTED = 0
    SOME_FAILED = 1
    USAGE = 2
    NO_ACCESS = 3
    UNREACHABLE = 4
    SOME_UNKNOWN = 5
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def stop_with(line: str, code: ExitCode = ExitCode.USAGE) -> NoReturn:
    echo(f"Error: {line}", err=True)
    raise typer.Exit(code)


_WAYS_OUT: dict[type[OrangeSMSError], str] = {
    ConnectionFailed: "Check the network, HTTPS_PROXY and the base URL, then try again",
    Throttled: "Wait a minute, then try again",
    ServiceUnavailable: "Orange is down or overloaded: try again later",
    NotSent: "Try again",
    AuthenticationFailed: "Compare the client id and secret with MyApps in Orange's portal",
    AccessDenied: "Subscribe the application to the SMS API in Orange's portal, or ask Orange",
    ContractRefused: "Buy a bundle; unused units are kept. `orange-sms balance` shows what is left",
    RequestRejected: "Correct the number, text, sender or base URL, or it will be refused again",
    Refused: "The same request would be refused again",
    Withheld: "One of your rules withholds it: nothing was sent",
    OutcomeUnknown: "It may have been sent: ask the recipient before sending it again",
}
_OF_REFUSALS = {
    class_.__name__: way_out for class_, way_out in _WAYS_OUT.items() if issubclass(class_, Refused)
}
_EXIT_CODES: dict[type[OrangeSMSError], ExitCode] = {
    AuthenticationFailed: ExitCode.NO_ACCESS,
    AccessDenied: ExitCode.NO_ACCESS,
    NotSent: ExitCode.UNREACHABLE,
    OutcomeUnknown: ExitCode.SOME_UNKNOWN,
}


def advice(error: OrangeSMSError) -> str:
    """Say what happened and what to do; a note on the error is more precise than its class."""
    if notes := getattr(error, "__notes__", None):
        return "; ".join(notes)
    said = f"{type(error).__name__}: {error}".removesuffix(".")
    if (plain := in_plain_words(said)) != said and (way := way_out_of_reasons(said)):
        return f"{plain}. {way}."
    return f"{said}. {way_out(error)}."


def way_out(error: OrangeSMSError) -> str:
    """Say what to do about an error."""
    if isinstance(error, OutcomeUnknown) and error.accepted:
        return "Do not send it again"
    return next(_WAYS_OUT[class_] for class_ in type(error).__mro__ if class_ in _WAYS_OUT)


_OF_RULES = {
    "to: write it as": "--country CIV reads numbers as they are written in Côte d'Ivoire",
}


def way_out_of_rules(rule: str) -> str:
    """Say what else to do about rows that break a rule; "" if the rule says it all."""
    return next((way for start, way in _OF_RULES.items() if rule.startswith(start)), "")


# Orange's words for the most frequent mistakes, and plainer ones.
_PLAIN_WORDS = (
    (r".*: Orange answered \S+ \(SVC0280\): (\d+)$", "text too long (\\1)"),
    (r".*: Orange answered \S+ \(\w+\): senderName$", "sender name not approved by Orange"),
    (r".*: Orange answered \S+ \(\w+\): senderAddress$", "sender address not allowed by Orange"),
    (r".*: Orange answered \S+ \(POL0001\): (.+)$", "refused because of the contract: \\1"),
    (r"Withheld: (.+)$", "withheld: \\1"),
)
_OF_PLAIN_WORDS = {
    "text too long": "Shorten the text: `orange-sms segments` shows its length",
    "sender name": "Ask Orange to approve it, or leave it out to use the account's default",
    "sender address": "Leave out --sender-address to use the number Orange recommends",
}


def in_plain_words(reason: str) -> str:
    """Say what a refusal means if its code tells; else return its class and Orange's words."""
    for theirs, ours in _PLAIN_WORDS:
        if found := re.fullmatch(theirs, reason):
            return re.sub(r"\d{4,}", lambda one: f"{int(one[0]):,}", found.expand(ours))
    return reason


def way_out_of_reasons(reason: str) -> str:
    """Say what to do about rows that broke a rule or were refused; "" if already said."""
    plain = in_plain_words(reason)
    ways = (way for start, way in _OF_PLAIN_WORDS.items() if plain.startswith(start))
    return (
        next(ways, "") or way_out_of_rules(reason) or _OF_REFUSALS.get(reason.partition(":")[0], "")
    )


def exit_code(error: OrangeSMSError) -> ExitCode:
    """Return the exit code of a command that did a single thing and met this error."""
    codes = (_EXIT_CODES[class_] for class_ in type(error).__mro__ if class_ in _EXIT_CODES)
    return next(codes, ExitCode.SOME_FAILED)


@contextlib.contextmanager
def errors_end(*, debug: bool) -> Iterator[None]:
    """End the command with one line if Orange or the connection fails, and on Ctrl-C."""
    try:
        yield
    except OrangeSMSError as error:
        end_with(error, debug=debug)
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def end_with(error: OrangeSMSError, *, debug: bool) -> NoReturn:
    if debug:
        show_behind(error)
    stop_with(advice(error), exit_code(error))


def show_behind(error: BaseException | None) -> None:
    """Show an error and its causes on stderr, the first cause last."""
    while error:
        echo(f"  {_name(error)}{_words(error)}{_place(error.__traceback__)}", err=True)
        # Also one that `from None` hides: it was hidden for its words, which are not shown here.
        error = error.__cause__ or error.__context__


def _name(error: BaseException) -> str:
    class_ = type(error)
    ours = isinstance(error, OrangeSMSError) or class_.__module__ == "builtins"
    return class_.__name__ if ours else f"{class_.__module__.partition('.')[0]}.{class_.__name__}"


def _words(error: BaseException) -> str:
    """Return what an error says if it is ours or the system's: a library's may quote its input."""
    if isinstance(error, OrangeSMSError):
        asked = f", X-OAPI-Request-Id {error.request_id}" if error.request_id else ""
        return f": {error}{asked}"
    if isinstance(error, OSError) and isinstance(error.strerror, str):
        return f": {error.strerror}"
    return ""


def _place(traceback: TracebackType | None) -> str:
    if traceback is None:
        return ""
    while traceback.tb_next:
        traceback = traceback.tb_next
    return f" ({traceback.tb_frame.f_globals.get('__name__')}, line {traceback.tb_lineno})"


@contextlib.contextmanager
def interrupts_call(
    ask: Callable[[], object], *, leaving: Callable[[], object] = bool
) -> Iterator[None]:
    """At the first signal, call `ask` in the event loop; at the second, `leaving`, then exit."""
    loop = asyncio.get_running_loop()
    asked = False

    def caught(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            leaving()
            # Not an exception: it would appear anywhere in the loop, where it may be caught.
            os._exit(ExitCode.INTERRUPTED)
        asked = True
        loop.call_soon_threadsafe(ask)

    # Not loop.add_signal_handler: it does not exist on Windows, and this does on both.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, caught) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
