"""What a person does about an error, in one line, and how a command ends with it."""

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
)
from orange_sms_async.cli.exits import ExitCode

_WAYS_OUT: dict[type[OrangeSMSError], str] = {
    ConnectionFailed: "Check the network, HTTPS_PROXY and the base URL, then try again",
    Throttled: "Wait a minute, then try again",
    ServiceUnavailable: "Orange is down or busy: try again later",
    NotSent: "Try again",
    AuthenticationFailed: "Compare client id and secret with those of MyApps in Orange's portal",
    AccessDenied: "Subscribe the application to the SMS API in Orange's portal, or ask Orange",
    ContractRefused: "Buy a bundle, units are kept; `orange-sms balance` shows what there is",
    RequestRejected: "Correct number, text, sender or base URL: the same will be refused again",
    Refused: "The same will be refused again",
    OutcomeUnknown: "It may be sent: ask the recipient before you send it again",
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
    """Say what happened and what to do; a note on the error knows better than its class."""
    if notes := getattr(error, "__notes__", None):
        return "; ".join(notes)
    said = f"{type(error).__name__}: {error}".removesuffix(".")
    return f"{said}. {way_out(error)}."


def way_out(error: OrangeSMSError) -> str:
    """Say what to do about what came of a request."""
    if isinstance(error, OutcomeUnknown) and error.accepted:
        return "Do not send it again"
    return next(_WAYS_OUT[class_] for class_ in type(error).__mro__ if class_ in _WAYS_OUT)


def way_out_of_refusals(name: str) -> str:
    """Say what to do about messages refused with a class of that name; "" if they were not."""
    return _OF_REFUSALS.get(name, "")


def exit_code(error: OrangeSMSError) -> ExitCode:
    """Say how a command ends that could do one thing only, and met this error."""
    codes = (_EXIT_CODES[class_] for class_ in type(error).__mro__ if class_ in _EXIT_CODES)
    return next(codes, ExitCode.SOME_FAILED)
