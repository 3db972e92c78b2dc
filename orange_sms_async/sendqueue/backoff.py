"""How long to wait while nothing can be sent."""

import math

_FIRST, _LONGEST = 1.0, 60.0  # seconds


class Backoff:
    """
    A pause that doubles, from 1 second to 60, each time nothing could be sent after it.

    There is one for a whole queue: all messages go over one network to one server, and what stops
    one message stops all. Times are the event loop's.

    Attributes:
        until: when the pause ends.
    """

    def __init__(self) -> None:
        self.until = -math.inf
        self._pause = 0.0
        self._token_refused_at = -math.inf
        self._token_worked = True

    def failed(self, now: float) -> None:
        """Start a pause. Failures of requests that left before a pause do not extend it."""
        if now >= self.until:
            self._pause = min(max(_FIRST, self._pause * 2), _LONGEST)
            self.until = now + self._pause

    def token_refused(self, now: float, slot: float) -> bool:
        """
        Go on at once with a new token, but pause if the previous one never worked either.

        Args:
            now: the event loop's time.
            slot: when the refused request left.

        Returns:
            False if it left with a token that was refused before.
        """
        if slot < self._token_refused_at:
            return False
        if not self._token_worked:
            self.failed(now)
        self._token_refused_at, self._token_worked = now, False
        return True

    def answered(self) -> None:
        """Orange accepted or refused a message: the connection and the token work."""
        self._pause, self._token_worked = 0.0, True
