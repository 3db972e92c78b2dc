"""What this process remembers of an account while it lives, whoever sends for it."""

import asyncio
import math
from collections import deque
from collections.abc import Hashable

from orange_sms_async.errors import Throttled

# Orange answers 429 to more than 50 token requests a minute. The second more is for their way.
_TOKENS, _MINUTE = 50, 61.0


class Remembered:
    """When tokens of an account were asked for."""

    def __init__(self) -> None:
        self._asked_at = deque[float](maxlen=_TOKENS)

    def ask_for_token(self) -> None:
        """
        Count a request for a token.

        Raises:
            Throttled: it would be one too many. Who asks is not kept waiting without a word.
        """
        now = asyncio.get_running_loop().time()
        if self._asked_at and self._asked_at[-1] > now:  # another loop's clock, as in tests
            self._asked_at.clear()
        if len(self._asked_at) == _TOKENS and (wait := self._asked_at[0] + _MINUTE - now) > 0:
            raise Throttled(f"{_TOKENS} tokens within a minute: the next in {math.ceil(wait)} s")
        self._asked_at.append(now)


_accounts: dict[Hashable, Remembered] = {}


def of_process(account: Hashable) -> Remembered:
    """
    Return what is remembered of an account, for as long as the process lives.

    Args:
        account: what tells it from others.
    """
    return _accounts.setdefault(account, Remembered())
