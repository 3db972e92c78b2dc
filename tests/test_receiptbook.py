"""The book: receipts in any order, and who waits for them."""

import asyncio
import threading
from datetime import timedelta
from itertools import combinations, permutations

import pytest

from orange_sms_async import DeliveryReceipt, DeliveryStatus
from orange_sms_async.receiver import BookStatistics, ReceiptBook

WAITING = DeliveryStatus.MESSAGE_WAITING
NETWORK = DeliveryStatus.DELIVERED_TO_NETWORK
UNCERTAIN = DeliveryStatus.DELIVERY_UNCERTAIN
IMPOSSIBLE = DeliveryStatus.DELIVERY_IMPOSSIBLE
TERMINAL = DeliveryStatus.DELIVERED_TO_TERMINAL
FORWARD = [WAITING, NETWORK, UNCERTAIN, IMPOSSIBLE, TERMINAL]
DAY = 24 * 3600


def receipt(status=TERMINAL, resource_id="id-1"):
    return DeliveryReceipt(resource_id=resource_id, status=status, address="tel:+2250701020304")


@pytest.fixture
def book():
    return ReceiptBook()


def entered(book, *statuses):
    for status in statuses:
        book.add(receipt(status))


# -- order and duplicates -----------------------------------------------------------------------

SUBSETS = [subset for size in range(1, 6) for subset in combinations(FORWARD, size)]
ORDERS = [*permutations(FORWARD)]


@pytest.mark.parametrize("statuses", SUBSETS, ids="+".join)
async def test_every_order_of_every_subset(statuses):
    """
    Ends at the status that goes furthest; the history is as it came.
    """
    for order in permutations(statuses):
        book = ReceiptBook()
        entered(book, *order)

        assert statuses[-1] == book.furthest("id-1").status
        assert [*order] == [receipt.status for receipt in book.history("id-1")]


@pytest.mark.parametrize("order", ORDERS, ids="+".join)
async def test_delivered_in_every_order(book, order):
    """
    Resolves at the first final status, and afterwards tells the furthest.
    """
    waiting = asyncio.create_task(book.delivered("id-1"))
    for status in order:
        await asyncio.sleep(60)
        book.add(receipt(status))

    first = next(status for status in order if receipt(status).is_final)
    assert first == (await waiting).status
    assert TERMINAL == (await book.delivered("id-1")).status


@pytest.mark.parametrize("order", ORDERS, ids="+".join)
async def test_duplicates_in_every_order(book, order):
    """
    Say nothing new: neither to the history, nor to a reader, nor later.
    """
    reader = aiter(book)
    entered(book, *order, *reversed(order), *order)

    assert [*order] == [receipt.status for receipt in book.history("id-1")]
    assert [*order] == [(await anext(reader)).status for _ in order]
    assert (5, 10) == (book.statistics().receipts, book.statistics().duplicates)


@pytest.mark.parametrize(
    ("statuses", "furthest"),
    [
        ([TERMINAL, IMPOSSIBLE], TERMINAL),
        ([IMPOSSIBLE, TERMINAL], TERMINAL),
        ([IMPOSSIBLE, UNCERTAIN], IMPOSSIBLE),
        ([UNCERTAIN, IMPOSSIBLE], IMPOSSIBLE),
        ([TERMINAL, WAITING], TERMINAL),
        ([NETWORK, WAITING], NETWORK),
        (["DeliveredToPigeon"], "DeliveredToPigeon"),
        (["DeliveredToPigeon", "Eaten"], "DeliveredToPigeon"),
        (["DeliveredToPigeon", WAITING], WAITING),
        ([TERMINAL, "DeliveredToPigeon"], TERMINAL),
    ],
)
async def test_the_state_only_moves_forward(book, statuses, furthest):
    """
    What Orange does not document is kept, and goes less far than what it does.
    """
    entered(book, *statuses)

    assert furthest == book.furthest("id-1").status
    assert statuses == [receipt.status for receipt in book.history("id-1")]


# -- await delivered ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [UNCERTAIN, IMPOSSIBLE, TERMINAL])
async def test_a_receipt_before_anybody_waits(book, status):
    """
    Also before the 201 was stored: it is kept, and matched at once.
    """
    entered(book, WAITING, status)
    start = asyncio.get_running_loop().time()

    assert status == (await book.delivered("id-1", timeout=0)).status
    assert 0 == pytest.approx(asyncio.get_running_loop().time() - start, abs=0.01)


@pytest.mark.parametrize("statuses", [(), (WAITING,), (NETWORK, WAITING), ("DeliveredToPigeon",)])
@pytest.mark.parametrize("timeout", [0, 1.5, None])
async def test_nothing_final_comes(book, statuses, timeout):
    """
    TimeoutError, after 24 hours where nothing else was said; nobody is left waiting.
    """
    start = asyncio.get_running_loop().time()
    entered(book, *statuses)
    with pytest.raises(TimeoutError, match="no final receipt"):
        await book.delivered("id-1", **({} if timeout is None else {"timeout": timeout}))

    waited = asyncio.get_running_loop().time() - start
    assert (DAY if timeout is None else timeout) == pytest.approx(waited, abs=0.01)
    assert 0 == book.statistics().waiting


@pytest.mark.parametrize("timeout", [-1, float("inf"), float("nan")])
async def test_a_wait_has_an_end(book, timeout):
    """
    Orange may never report: who waits for ever waits for nothing.
    """
    with pytest.raises(ValueError, match="finite"):
        await book.delivered("id-1", timeout=timeout)


async def test_two_messages_to_one_number(book):
    """
    Are told apart by their resource ids, and only by these.
    """
    first, second = (asyncio.create_task(book.delivered(id_)) for id_ in ("id-1", "id-2"))
    await asyncio.sleep(1)
    book.add(receipt(IMPOSSIBLE, "id-2"))
    await asyncio.sleep(1)

    assert (False, True) == (first.done(), second.done())
    book.add(receipt(TERMINAL, "id-1"))
    assert [TERMINAL, IMPOSSIBLE] == [(await first).status, (await second).status]


async def test_many_wait_for_one_message(book):
    """
    One that gives up takes nothing from the others.
    """
    waiting = [asyncio.create_task(book.delivered("id-1")) for _ in range(3)]
    await asyncio.sleep(1)
    assert 3 == book.statistics().waiting
    waiting[1].cancel()
    await asyncio.sleep(1)
    assert 2 == book.statistics().waiting

    entered(book, UNCERTAIN, TERMINAL)  # two before anybody wakes
    assert [UNCERTAIN, UNCERTAIN] == [(await waiting[n]).status for n in (0, 2)]
    assert 0 == book.statistics().waiting


async def test_a_receipt_without_a_resource_id(book):
    """
    Is kept and matches nothing; two of them are two messages.
    """
    waiting = asyncio.create_task(book.delivered("", timeout=5))
    await asyncio.sleep(1)
    book.add(receipt(resource_id=""))
    book.add(receipt(resource_id=""))

    assert [receipt(resource_id="")] * 2 == book.history("")
    assert book.furthest("") is None
    with pytest.raises(TimeoutError):
        await waiting


# -- what is remembered -------------------------------------------------------------------------


@pytest.mark.parametrize("max_age", [timedelta(hours=24), timedelta(seconds=90)])
async def test_a_message_is_forgotten(max_age):
    """
    So long after its last new receipt; as a whole, or it would go back.
    """
    book, age = ReceiptBook(max_age), max_age.total_seconds()
    entered(book, TERMINAL)
    await asyncio.sleep(age - 10)
    entered(book, WAITING)
    await asyncio.sleep(age - 10)
    entered(book, WAITING)  # nothing new: no reason to remember it longer

    assert [TERMINAL, WAITING] == [receipt.status for receipt in book.history("id-1")]
    await asyncio.sleep(11)
    assert ([], None) == (book.history("id-1"), book.furthest("id-1"))
    book.add(receipt(resource_id="id-2"))
    assert (1, 1) == (book.statistics().messages, book.statistics().receipts)


async def test_more_than_there_is_room_for():
    """
    The message without news for longest goes, with all its receipts.
    """
    book = ReceiptBook(capacity=4)
    for status, resource_id in [(WAITING, "a"), (WAITING, "b"), (NETWORK, "a"), (WAITING, "c")]:
        book.add(receipt(status, resource_id))
    book.add(receipt(TERMINAL, "c"))

    assert [2, 0, 2] == [len(book.history(id_)) for id_ in "abc"]
    book.add(receipt(TERMINAL, "d"))
    assert [0, 0, 2, 1] == [len(book.history(id_)) for id_ in "abcd"]
    assert 3 == book.statistics().receipts


@pytest.mark.parametrize(("capacity", "remembered"), [(1, 1), (7, 7), (100_000, 100)])
async def test_one_message_with_much_to_say(capacity, remembered):
    """
    The last hundred are remembered, and still how far it came.
    """
    book = ReceiptBook(capacity=capacity)
    entered(book, TERMINAL, *map(str, range(150)))

    assert TERMINAL == book.furthest("id-1").status
    assert [str(n) for n in range(150 - remembered, 150)] == [
        receipt.status for receipt in book.history("id-1")
    ]
    assert remembered == book.statistics().receipts


async def test_twenty_thousand_receipts():
    """
    The book grows no further than its capacity.
    """
    book = ReceiptBook(capacity=1_000)
    for n in range(20_000):
        book.add(receipt(resource_id=f"id-{n}"))

    assert (1_000, 1_000) == (book.statistics().messages, book.statistics().receipts)
    assert [] == book.history("id-18999")
    assert 1 == len(book.history("id-19000"))


@pytest.mark.parametrize("setting", [{"max_age": timedelta(0)}, {"capacity": 0}])
def test_settings_that_cannot_be(setting):
    """
    A book that remembers nothing is a mistake.
    """
    with pytest.raises(ValueError, match=next(iter(setting))):
        ReceiptBook(**setting)


async def test_asked_from_a_thread(book):
    """
    As a web framework does that runs a plain function beside the loop.
    """
    assert [] == book.history("id-1")
    entered(book, TERMINAL)
    asked = []
    thread = threading.Thread(
        target=lambda: asked.extend([book.history("id-1"), book.furthest("id-1")])
    )
    thread.start()
    thread.join()

    assert [[receipt()], receipt()] == asked


# -- readers ------------------------------------------------------------------------------------


async def test_several_readers(book):
    """
    Each sees every receipt from its beginning on, and leaves without a word.
    """

    async def read(until):
        seen = []
        async for receipt in book:
            seen.append(receipt.resource_id)
            if receipt.resource_id == until:
                break
        return seen

    early = asyncio.create_task(read("id-4"))
    await asyncio.sleep(1)
    for n in range(3):
        book.add(receipt(resource_id=f"id-{n}"))
    late = asyncio.create_task(read("id-3"))
    await asyncio.sleep(1)
    assert 2 == book.statistics().readers
    book.add(receipt(resource_id="id-3"))
    assert ["id-3"] == await late
    book.add(receipt(resource_id="id-4"))

    assert [f"id-{n}" for n in range(5)] == await early
    assert 0 == book.statistics().readers


async def test_a_slow_reader(book):
    """
    Misses the oldest, which is counted; a quick one beside it misses nothing.
    """
    slow, quick = aiter(book), aiter(book)
    for n in range(10_003):
        book.add(receipt(resource_id=f"id-{n}"))
        assert f"id-{n}" == (await anext(quick)).resource_id

    assert 3 == book.statistics().missed
    assert "id-3" == (await anext(slow)).resource_id
    assert slow is aiter(slow)


async def test_statistics(book):
    """
    The book as a value.
    """
    entered(book, WAITING, WAITING, TERMINAL)

    assert (
        BookStatistics(messages=1, receipts=2, waiting=0, readers=0, duplicates=1, missed=0)
        == book.statistics()
    )
