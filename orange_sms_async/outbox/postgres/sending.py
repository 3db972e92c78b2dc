"""The turn and what is claimed in it, until it is settled or put back."""

import asyncio
import contextlib
import math
import uuid
from functools import partial

from orange_sms_async.errors import OutboxUnusable
from orange_sms_async.outbox import Claim
from orange_sms_async.outbox.postgres import opening, queries
from orange_sms_async.outbox.postgres.batch import Batch
from orange_sms_async.outbox.postgres.connecting import AwayError, Connections, boot_time
from orange_sms_async.outbox.postgres.hand import Floor, Hand, at_once
from orange_sms_async.outbox.postgres.opening import Found
from orange_sms_async.outbox.postgres.queries import Settled, Turn
from orange_sms_async.outcomes import Outcome

_STANDBY = 1.0  # seconds between two questions for the turn, at most
_RENEW_EVERY = 1.0  # seconds, of the two that a turn lasts
_PATIENCE = 10.0  # seconds that a turn is kept without a claim, while something waits
_Said = tuple[Claim, Outcome, float]


class Sending:
    """
    One opening of an outbox, as a sender.

    Args:
        connections: to the database; open.
        found: the account.
        fence: seconds after a claim within which its message may leave.
        lease: seconds without news after which a claim belongs to a dead process.

    Attributes:
        me: this opening's name in its claims.
        guard: how much further apart slots are than the rate asks, as far as known.
        has_turn: whether this opening may claim, as far as known. Each claim checks.
        more: whether something waits, as far as known without asking.
        silent: the process that has the turn and sends nothing, although it could.
    """

    def __init__(self, connections: Connections, found: Found, fence: float, lease: float) -> None:
        self._db, self._found, self._fence, self._lease = connections, found, fence, lease
        self.me, self.guard = str(uuid.uuid4()), found.guard
        self.has_turn = self.more = self._unheard = False
        self.silent: str | None = None
        self._hand, self._floor = Hand(), Floor()
        self._settling = Batch[_Said, Settled](self._settle_all)
        self._left = self._ask_at = self._renewed_at = -math.inf
        self._renewing = asyncio.create_task(self._keep_renewing(), name="orange-sms leases")

    async def aclose(self) -> None:
        """Give up the turn, and what was claimed ahead."""
        await self._settling.finish()
        self._renewing.cancel()
        # If this fails, the turn and the claims lapse by themselves.
        with contextlib.suppress(AwayError, OutboxUnusable, TimeoutError):
            async with asyncio.timeout(self._lease):
                await self._put_back_ahead()
            ago = min(boot_time() - self._left, 60.0)
            await self._db.once(partial(opening.end_turn, turn=self._turn, left=ago))
        self.has_turn = False

    @property
    def _turn(self) -> Turn:
        account, rate = self._found.account, self._found.rate
        patience = _PATIENCE + 2 / rate
        return Turn(account, self.me, self._fence, self._lease, patience, self.guard)

    # -- the turn -------------------------------------------------------------------------------

    async def take_turn(self, now: float) -> bool:
        if self.has_turn or boot_time() < self._ask_at:
            return self.has_turn
        take = partial(opening.take_turn, turn=self._turn, now=now)
        try:
            answer = await self._db.once(take)
            if answer.had:
                self._floor.begin(*await self._heads())
        except AwayError:
            return False
        if answer.had:
            self.guard, self._renewed_at = answer.guard, boot_time()
        self.has_turn, self.silent = answer.had, answer.silent
        self._ask_at = boot_time() + min(_STANDBY, answer.wait)
        return self.has_turn

    async def tidy(self, now: float) -> list[str]:
        """Return what was settled or put back, because it expired or its sender is dead."""
        back = self._db.back_at
        # While the database was away, no sender could show that it is alive.
        reap = back is None or boot_time() > back + self._lease
        self._renewed_at = boot_time()
        had, changed = await self._db.once(
            partial(queries.tidy, turn=self._turn, now=now, known=self._hand.ids, reap=reap)
        )
        self._note(had=had)
        if changed:
            self.begin_anew()
        elif self._floor.is_doubtful:
            self._floor.looked(*await self._heads())
        return changed

    async def _heads(self) -> tuple[dict[int, int], float]:
        """Return the first waiting id of each lane, and how many seconds the look took."""
        began = boot_time()
        heads = await self._db.once(partial(queries.heads, account=self._found.account))
        return heads, boot_time() - began

    def _note(self, *, had: bool) -> None:
        if self.has_turn and not had:
            self.has_turn = self.more = False

    def begin_anew(self) -> None:
        """Assume nothing about the first waiting message: look from the first row again."""
        self._floor.forget()
        self.more = False

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY / 2)
            with contextlib.suppress(AwayError, OutboxUnusable):  # reported where it matters
                await self._renew()

    async def _renew(self) -> None:
        # Waiting for a slot or a token may take long.
        if self.has_turn and boot_time() >= self._renewed_at + _RENEW_EVERY:
            self._renewed_at = boot_time()
            self._note(had=await self._db.once(partial(queries.renew_turn, turn=self._turn)))
        if late := self._hand.not_renewed_for(self._lease / 3):
            await self._db.once(
                partial(queries.renew, ids=list(late), me=self.me, lease=self._lease)
            )
            self._hand.renewed(late)

    # -- claims ---------------------------------------------------------------------------------

    @property
    def has_ahead(self) -> bool:
        """Whether a message is claimed already that is still to be handed out."""
        return bool(self._hand.ahead)

    async def claim(self, now: float) -> Claim | None:
        if not self.has_turn:
            return None
        if self._hand.ahead and self._hand.ahead[0].too_late():
            await self._put_back_ahead()
        if not self._hand.ahead:
            await self._claim_some(now)
        return self._hand.ahead.popleft() if self._hand.ahead else None

    async def _claim_some(self, now: float) -> None:
        asked_at = boot_time()
        claim = partial(
            queries.claim,
            turn=self._turn,
            now=now,
            most=at_once(self._found.rate),
            floor=self._floor.ids,
        )
        try:
            await self._disown()
            self._unheard = True
            *claimed, end = await self._db.once(claim)
        except AwayError:
            return
        self._unheard, self.more = False, bool(end["more"])
        self._note(had=end["had"])
        if end["promoted"] or not claimed:  # what waits then is in front
            self._floor.forget()
        self._floor.claimed(claimed, boot_time() - asked_at)
        for row in claimed:
            self._hand.take(row, self.me, asked_at + self._fence)

    async def _disown(self) -> None:
        """Put back what was taken by a claim whose answer never came."""
        if self._unheard:
            await self._db.once(partial(queries.disown, turn=self._turn, known=self._hand.ids))
            self._floor.forget()

    async def _put_back_ahead(self) -> None:
        while self._hand.ahead:
            claim = self._hand.ahead.popleft()
            await self._return(claim, again=claim.again)

    async def put_back(self, claim: Claim, *, again: bool, not_before: float) -> bool:
        """Put a message back; return whether its claim still held."""
        self._left = boot_time()
        return await self._return(claim, again=again, not_before=not_before)

    async def _return(self, claim: Claim, *, again: bool, not_before: float = 0.0) -> bool:
        self._floor.forget()
        put_back = partial(queries.put_back, account=self._found.account, claim=claim)
        done = await self._db.until_done(
            lambda db, _: put_back(db, again=again, not_before=not_before)
        )
        self._hand.drop(claim)
        self.more = self.more or (done and not not_before)
        return done

    async def settle(self, claim: Claim, outcome: Outcome, now: float) -> Settled:
        self._left = boot_time()
        settled = await self._settling.ask((claim, outcome, now))
        self._hand.drop(claim)
        return settled

    async def _settle_all(self, said: list[_Said], begun: bool) -> list[Settled | Exception]:
        return [
            *await self._db.until_done(
                lambda db, repeated: queries.settle(
                    db, self._found.account, said, repeated=repeated
                ),
                begun=begun,
            )
        ]
