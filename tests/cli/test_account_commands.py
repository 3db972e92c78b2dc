"""`orange-sms balance`, `usage` and `purchases`, as a user and a program see them."""

import csv
import datetime as dt
import io
import json

import attrs
import pytest

from orange_sms_async import Contract, PurchaseOrder, UsageStatistics

NAMES = {"balance": Contract, "usage": UsageStatistics, "purchases": PurchaseOrder}


def lines(said):
    return [" ".join(line.split()) for line in said.splitlines()]


@pytest.mark.real_time
async def test_a_balance(orange, ask):
    """
    Units, expiry and days left of each contract; what is in an expired one is no part of the total.
    """
    orange.account.expire("CIV")
    orange.account.buy("CIV", 250, offer_name="SMS_OCB2", days=5)

    code, said, complaints = await ask("balance", "--country", "civ")

    on = [dt.datetime.now(dt.UTC) + dt.timedelta(days=days) for days in (-2, 365)]
    assert (0, "") == (code, complaints)
    assert [
        "country offer units status expires days",
        f"CIV SMS_OCB 10,000,000 EXPIRED {on[0]:%Y-%m-%d} expired",
        f"CIV SMS_OCB2 10,000,250 ACTIVE {on[1]:%Y-%m-%d} 365",
        "total 10,000,250",
        "Units in expired contracts: 10,000,000. Buy a bundle to use them.",
    ] == lines(said)


@pytest.mark.real_time
async def test_usage_of_an_application(orange, ask):
    """
    What each application sent to each country, and all of it together.
    """
    for number in ("+2250700000001", "+221770000001", "+221770000002"):
        await ask("send", number, "Bonjour")
    used = lines((await ask("usage"))[1])
    app_id = used[-2].split()[2]
    of_one = (await ask("usage", "--country", "SEN", "--app-id", app_id))[1]

    assert "total 3 3" == used[-1]
    assert [f"SEN SMS_OCB {app_id} 2 2", "total 2 2"] == lines(of_one)[1:]


@pytest.mark.parametrize("name", NAMES)
def test_programs_get_all_of_it(invoke, name):
    """
    JSON and CSV hold every field, the same ones in the same order, and nothing else is said.
    """
    as_json, as_csv = invoke(name, "--json"), invoke(name, "--csv")

    fields = [field.name for field in attrs.fields(NAMES[name])]
    values = json.loads(as_json.stdout)
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert (0, 0, "", "") == (
        *(as_json.exit_code, as_csv.exit_code),
        *(as_json.stderr, as_csv.stderr),
    )
    assert as_csv.stdout.startswith(",".join(fields) + "\n")
    assert len(values) == len(rows)
    assert all(fields == [*value] for value in values)
    assert rows == [
        {name: "" if cell is None else str(cell) for name, cell in value.items()}
        for value in values
    ]


def test_who_paid_is_masked_for_people(invoke):
    """
    The table shows enough to know one's own address again; programs get it whole.
    """
    table, whole = invoke("purchases"), invoke("purchases", "--json")

    assert "d***@" in table.stdout
    assert "example.org" not in table.stdout
    assert {"dev@example.org"} == {order["payer_id"] for order in json.loads(whole.stdout)}
    assert "1,450 XOF" in invoke("purchases", "--country", "CIV").stdout  # of two bundles


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--json", "--csv"], "give only one of them"), (["--country", "Mali"], "such as CIV or SEN")],
)
def test_what_cannot_be_asked(invoke, options, said):
    ended = invoke("balance", *options)

    assert 2 == ended.exit_code
    assert said in ended.stderr
