"""
Everything raised, one class for each thing a caller can do about it.

    OrangeSMSError
      InvalidMessage (ValueError)      found here; nothing was sent
      NotSent                          certainly not taken: trying again is safe
        ConnectionFailed (ConnectionError)   it never left this machine, or no token could be had
        TokenExpired                         the token was refused; the next attempt takes a new one
        Throttled                            more than Orange's rate
        ServiceUnavailable                   Orange said that it is down or over capacity
      Refused                          Orange said no: the same request will be refused again
        AuthenticationFailed                 wrong client id or secret
        AccessDenied                         not subscribed, application blocked, user forbidden
        ContractRefused                      contract expired, no units, no contract: see `reason`
        RequestRejected                      anything else that is wrong with the request
      OutcomeUnknown                   it left and no clear answer came: it may have been sent
      InvalidReceipt (ValueError)      what was posted is no delivery receipt or reply
      QueueFull                        the lane has no room now
      QueueClosed                      the queue takes and sends nothing more; the cause says why
      MessageExpired                   its time ran out before it was sent
      MessageWithdrawn                 it was taken back before it was sent
      OutboxUnusable (OSError)         the outbox cannot be opened, read or written

No message, repr or argument of these holds a phone number, a text, a token or a secret.
"""


class OrangeSMSError(Exception):
    """
    What every error of this package is.

    Attributes:
        status_code: HTTP status of Orange's answer; None where there was none.
        code: Orange's own code (53) or message id ("POL0001"), where the answer had one.
        request_id: X-OAPI-Request-Id of the answer; Orange's support asks for it.
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
    """The message breaks a rule that can be checked here; nothing was sent."""


class NotSent(OrangeSMSError):
    """Orange certainly did not take the message: sending it again is safe."""


class ConnectionFailed(NotSent, ConnectionError):
    """The request never left this machine, or the token endpoint gave no readable answer."""


class TokenExpired(NotSent):
    """Orange refused the token; the next attempt fetches a new one."""


class Throttled(NotSent):
    """One request too many, of messages or of tokens: wait, then send again."""


class ServiceUnavailable(NotSent):
    """Orange said that it is unavailable or over capacity: wait, then send again."""


class Refused(OrangeSMSError):
    """Orange said no; the same request will be refused again."""


class AuthenticationFailed(Refused):
    """The client id or secret is wrong: no message of this account can be sent."""


class AccessDenied(Refused):
    """The application is blocked, forbidden or not subscribed: no message of it can be sent."""


class ContractRefused(Refused):
    """
    There is no contract to pay for the message: buy a bundle; an expired contract keeps its units.

    Attributes:
        reason: Orange's words, such as "Expired contract".
    """

    reason = ""


class RequestRejected(Refused):
    """Something in this request is wrong: number, sender name, length or form."""


class OutcomeUnknown(OrangeSMSError):
    """
    The message left and no clear answer came: it may have been sent, sending again may double it.

    Attributes:
        accepted: True when Orange did answer 201 but the resource id could not be read.
    """

    accepted = False


class InvalidReceipt(OrangeSMSError, ValueError):
    """What was posted is neither a delivery receipt nor a reply."""


class QueueFull(OrangeSMSError):
    """The lane holds as many messages as its capacity; nothing was admitted."""


class QueueClosed(OrangeSMSError):
    """The queue sends nothing more; `__cause__` says why. The message was not sent."""


class MessageExpired(OrangeSMSError):
    """`expires_at` passed before the message was sent."""


class MessageWithdrawn(OrangeSMSError):
    """The message was taken back before it was sent."""


class OutboxUnusable(OrangeSMSError, OSError):
    """The outbox cannot be opened, read or written; the message names the file and the cause."""
