"""
All errors: one class for each way in which a caller can react.

    OrangeSMSError
      InvalidMessage (ValueError)      found before sending; nothing was sent
      NotSent                          certainly not taken: trying again is safe
        ConnectionFailed (ConnectionError)   it never left this machine, or no token could be had
        TokenExpired                         the token was refused; the next attempt takes a new one
        Throttled                            more requests than Orange allows
        TooLate                              it could not leave before its time ran out
        ServiceUnavailable                   Orange is down or over capacity, or gives no token
      Refused                          Orange said no: the same request will be refused again
        AuthenticationFailed                 wrong client id or secret
        AccessDenied                         not subscribed, application blocked, user forbidden
        ContractRefused                      contract expired, no units, no contract: see `reason`
        RequestRejected                      anything else that is wrong with the request
      Withheld                         a rule of the queue's gate says no: nothing was sent
      OutcomeUnknown                   it left, but no clear answer came: it may have been sent
      InvalidReceipt (ValueError)      what was posted is neither a delivery receipt nor a reply
      QueueFull                        the lane has no room now
      QueueClosed                      the queue takes and sends nothing more; the cause says why
      MessageExpired                   its time ran out before it was sent
      MessageWithdrawn                 it was taken back before it was sent
      OutboxUnusable (OSError)         the outbox cannot be opened, read or written

No message, repr or argument of these contains a phone number, a text, a token or a secret.
"""


def in_words(error: BaseException) -> str:
    """Name an error for a log; add its message only if the error is one of ours."""
    name = type(error).__name__
    ours = type(error).__module__ == __name__
    return f"{name}: {error}" if ours and str(error) else name


class OrangeSMSError(Exception):
    """
    The base class of all errors of this package: catch it last.

    Attributes:
        status_code: HTTP status of Orange's answer; None without an answer.
        code: Orange's own code (53) or message id ("POL0001"); None if the answer had neither.
        request_id: X-OAPI-Request-Id of the answer, or None. Orange's support asks for it.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status_code: int | None = None,
        code: int | str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status_code = status_code
        self.code = code
        self.request_id = request_id


class InvalidMessage(OrangeSMSError, ValueError):
    """
    The message breaks a rule that is checked before anything is sent: correct it.

    The error names the field and the rule, and never shows the value. A queue also raises it if
    the reference belongs to a message with a different number or text.
    """


class NotSent(OrangeSMSError):
    """
    Orange certainly did not take the message: sending it again is safe.

    A queue sends it again by itself, until the message expires. Methods of `Client` raise it.
    """


class ConnectionFailed(NotSent, ConnectionError):
    """
    The request never left this machine, or the token endpoint gave no readable answer.

    If it persists, check the network, the proxy and the base URL.
    """


class TokenExpired(NotSent):
    """Orange refused the token. The next attempt fetches a new one."""


class Throttled(NotSent):
    """
    More requests than Orange allows: wait, then send again.

    Orange allows 5 messages a second and 50 tokens a minute.

    Attributes:
        of_tokens: True if there were too many requests for tokens, rather than for messages.
    """

    of_tokens = False


class ServiceUnavailable(NotSent):
    """
    Orange says that it is unavailable or over capacity: wait, then send again.

    It is also raised if the token endpoint answers with neither a token nor a documented refusal
    of the credentials. The error then names the token endpoint and its HTTP status.
    """


class TooLate(NotSent):
    """
    The message could not leave before it expired, or while this process still had the turn.

    Only a queue sees this error: it settles the message if it has expired, or else puts it back.
    """


class Refused(OrangeSMSError):
    """Orange refused, and would refuse the same request again: something must change first."""


class AuthenticationFailed(Refused):
    """The client id or secret is wrong: no message of the account can be sent. A queue stops."""


class AccessDenied(Refused):
    """
    The application is blocked, forbidden or not subscribed: none of its messages can be sent.

    A queue stops.
    """


class ContractRefused(Refused):
    """
    No contract pays for the message: buy a bundle for the country.

    An expired contract keeps its units. The next bundle makes them usable again. A queue continues
    with its other messages.

    Attributes:
        reason: Orange's words, such as "Expired contract".
    """

    reason = ""


class RequestRejected(Refused):
    """
    Something in this request is wrong: the number, the sender name, the length or the form.

    A queue continues with its other messages.
    """


class Withheld(OrangeSMSError):
    """
    A rule of the queue's gate keeps the message back: nothing was sent.

    The rule says why. Its words go into logs, so they show no number and no text.

    Args:
        message: why, for a person.
        rule: the rule's name, such as "suppression".

    Attributes:
        rule: the rule's name.
    """

    rule = ""

    def __init__(self, message: str = "", *, rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule


class OutcomeUnknown(OrangeSMSError):
    """
    The message left, but no clear answer came: it may have been sent.

    If it is sent again, the recipient may get it twice: Orange has no idempotency key. A queue
    never sends it again, unless it was submitted with `on_unknown="resend"`.

    Attributes:
        accepted: True if Orange answered 201 and only the resource id was unreadable: the message
            was sent.
    """

    accepted = False


class InvalidReceipt(OrangeSMSError, ValueError):
    """The posted body is neither a delivery receipt nor a reply."""


class QueueFull(OrangeSMSError):
    """The lane is full. The message was not admitted."""


class QueueClosed(OrangeSMSError):
    """
    The queue sends nothing more, and did not send this message. `__cause__` says why.

    In a durable outbox the message remains, and the next queue sends it.
    """


class MessageExpired(OrangeSMSError):
    """`expires_at` passed before the message was sent."""


class MessageWithdrawn(OrangeSMSError):
    """The message was taken back before it was sent."""


class OutboxUnusable(OrangeSMSError, OSError):
    """
    The outbox cannot be opened, read or written. A message that could not be kept was not admitted.

    The error names the file and the cause.

    Attributes:
        errno: `errno.EBUSY` if another program held the file for too long: try again. Otherwise
            None.
    """
