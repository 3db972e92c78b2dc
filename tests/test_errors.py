"""What an answer means: every row of Orange's tables, and the tree of errors."""

import json
import re

import pytest
from samples import sample

from orange_sms_async import (
    AccessDenied,
    AuthenticationFailed,
    ConnectionFailed,
    ContractRefused,
    OrangeSMSError,
    OutcomeUnknown,
    RequestRejected,
    ServiceUnavailable,
    Throttled,
    TokenExpired,
    _wire,
    errors,
)

HTML = "<html><body>Service Temporarily Unavailable</body></html>"
HEADERS = {"x-oapi-request-id": "request-7"}


def e1(code, message="Said by the gateway"):
    return {"code": code, "message": message, "description": "At more length"}


def e2(error):
    return {"error": error, "error_description": "Said by the token endpoint"}


def e3(message_id, *variables):
    kind = "policyException" if message_id.startswith("POL") else "serviceException"
    text = "An error occurred. Error code is %1"
    content = {"messageId": message_id, "text": text, "variables": list(variables)}
    return {"requestError": {kind: content}}


def answer(status, body):
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return _wire.Answer(status, HEADERS, content)


E1_ROWS = [
    *[(400, code, RequestRejected) for code in range(20, 29)],
    (401, 40, AuthenticationFailed),
    (401, 41, TokenExpired),
    (401, 42, TokenExpired),
    (403, 50, AccessDenied),
    (403, 51, AccessDenied),
    (403, 52, AccessDenied),
    (403, 53, Throttled),
    (404, 60, RequestRejected),
    (405, 61, RequestRejected),
    (406, 62, RequestRejected),
    (408, 63, OutcomeUnknown),
    (409, 69, RequestRejected),
    (411, 64, RequestRejected),
    (412, 65, RequestRejected),
    (413, 66, RequestRejected),
    (414, 67, RequestRejected),
    (415, 68, RequestRejected),
    (429, 53, Throttled),
    (500, 1, OutcomeUnknown),
    (502, 1, OutcomeUnknown),
    (503, 5, ServiceUnavailable),
    (503, 6, ServiceUnavailable),
    (503, 1, OutcomeUnknown),
    (504, 6, OutcomeUnknown),
]


@pytest.mark.parametrize(("status", "code", "class_"), E1_ROWS)
@pytest.mark.parametrize("written", [int, str])
def test_the_gateway_s_codes(status, code, class_, written):
    """
    The code says more than the status, be it a number or a string; both are on the error.
    """
    error = _wire.refusal(answer(status, e1(written(code))))

    assert class_ is type(error)
    assert (status, code, "request-7") == (error.status_code, error.code, error.request_id)
    assert f"Orange answered {status} ({code}): Said by the gateway" == str(error)


E3_ROWS = [
    (400, "SVC0001", ["Unknown"], RequestRejected),
    (400, "SVC0001", ["POL2204"], RequestRejected),
    (400, "SVC0001", ["timeout"], OutcomeUnknown),
    (400, "SVC0001", ["Read timed out"], OutcomeUnknown),
    (400, "SVC0001", ["Backend Time-Out"], OutcomeUnknown),
    (400, "SVC0002", ["senderName"], RequestRejected),
    (400, "SVC0002", ["POL2204"], RequestRejected),
    (400, "SVC0003", ["resource_type_parameter_management"], RequestRejected),
    (400, "SVC0004", ["address"], RequestRejected),
    (400, "SVC0280", ["outboundSMSTextMessage"], RequestRejected),
    (403, "POL0001", ["Expired contract"], ContractRefused),
    (403, "POL0001", ["No contract found for the given country"], ContractRefused),
    (403, "POL0001", ["insufficient credits"], ContractRefused),
    (403, "POL0003", ["address"], RequestRejected),
]


@pytest.mark.parametrize(("status", "message_id", "variables", "class_"), E3_ROWS)
def test_the_backend_s_message_ids(status, message_id, variables, class_):
    """
    Its text is a template: what is said to a person is the first variable.
    """
    error = _wire.refusal(answer(status, e3(message_id, *variables)))

    assert class_ is type(error)
    assert (status, message_id) == (error.status_code, error.code)
    assert str(error).endswith(f"({message_id}): {variables[0]}")


def test_a_contract_past_its_date():
    """
    As captured: the reason is an attribute of its own.
    """
    error = _wire.refusal(_wire.Answer(403, {}, sample("send/403.json")))

    assert isinstance(error, ContractRefused)
    assert ("Expired contract", "POL0001", None) == (error.reason, error.code, error.request_id)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({}, ""),
        ({"variables": None}, ""),
        ({"variables": []}, ""),
        ({"variables": "Expired contract"}, "Expired contract"),
        ({"variables": [None]}, ""),
        ({"variables": [7]}, "7"),
        ({"variables": ["two\n words  "]}, "two words"),
        ({"variables": ["long " * 100]}, "long " * 24),
        ({"variables": ["to +2250701020304"]}, "to +…"),
    ],
)
def test_reasons(content, reason):
    """
    Variables may be missing, or a string as one page has it; long numbers are never shown.
    """
    body = {"requestError": {"policyException": {"messageId": "POL0001"} | content}}
    error = _wire.refusal(answer(403, body))

    assert ContractRefused is type(error)
    assert reason.strip() == error.reason.strip()


@pytest.mark.parametrize(
    ("repeated", "private", "said"),
    [
        ("Oui or Non", "Oui", "Oui or Non"),
        ("Oui or Non", "Oui or", "… Non"),
        ("Oui or Non", "Oui or Non", "…"),
        (r"no: \"\u00e9t\u00e9\"", '"été"', "no: …"),
    ],
)
def test_what_was_sent_is_struck_out(repeated, private, said):
    """
    Should Orange repeat it, as JSON too; but three letters are no secret and in many words.
    """
    error = _wire.refusal(answer(403, e3("POL0001", repeated)), private=_wire.Private(private))

    assert isinstance(error, ContractRefused)
    assert said == error.reason


BARE_ROWS = [
    *[(status, OutcomeUnknown) for status in (200, 202, 204, 206, 301, 302, 307, 304)],
    (400, RequestRejected),
    (401, TokenExpired),
    (402, RequestRejected),
    (403, RequestRejected),
    (404, RequestRejected),
    (408, OutcomeUnknown),
    (418, RequestRejected),
    (429, Throttled),
    *[(status, OutcomeUnknown) for status in (500, 501, 502, 503, 504, 599)],
]
WORDLESS = ["", HTML, "null", "[]", "7", "{}", {"requestError": {}}, "[" * 100_000]


@pytest.mark.parametrize(("status", "class_"), BARE_ROWS)
@pytest.mark.parametrize("body", WORDLESS, ids=lambda body: str(body)[:20])
def test_answers_without_a_word_of_orange_s(status, class_, body):
    """
    Where no envelope is, only the status is left; a 403 may then be anything.
    """
    error = _wire.refusal(answer(status, body))

    assert (class_, status, None) == (type(error), error.status_code, error.code)
    assert f"Orange answered {status}" == str(error)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (e1("9" * 5000), None),
        (e1(2250701020304), None),
        (e1([53]), None),
        (e1(None), None),
        (e2("+2250701020304"), None),
        ({"requestError": {"serviceException": {}}}, None),
        (e2("forbidden"), "forbidden"),
    ],
)
def test_strange_codes(body, code):
    """
    What cannot be one of Orange's codes is none.
    """
    error = _wire.refusal(answer(403, body))

    assert (RequestRejected, code) == (type(error), error.code)


@pytest.mark.parametrize(
    ("status", "body", "class_"),
    [
        (401, e1(40), AuthenticationFailed),
        (401, e1(41), AuthenticationFailed),
        (401, e1(42), TokenExpired),
        (401, "", AuthenticationFailed),
        (403, e1(53), Throttled),
    ],
)
def test_a_token_just_fetched(status, body, class_):
    """
    One that Orange never accepted is not expired: another would be refused as well.
    """
    assert class_ is type(_wire.refusal(answer(status, body), fresh_token=True))


ODD = [400, 403, 404, 405, 407, 409, 410, 421, 425, 451, 499]
TOKEN_ROWS = [
    (400, e2("invalid_client"), AuthenticationFailed, "invalid_client"),
    (400, e2("unauthorized_client"), AuthenticationFailed, "unauthorized_client"),
    (400, e2("invalid_request"), ServiceUnavailable, "invalid_request"),
    (401, e2("invalid_client"), AuthenticationFailed, "invalid_client"),
    (401, e1(41), AuthenticationFailed, 41),
    (401, e1(40), AuthenticationFailed, 40),
    (401, e1(42), ServiceUnavailable, 42),
    (401, HTML, ServiceUnavailable, None),
    (403, e1(50), AccessDenied, 50),
    (403, e1(51), AccessDenied, 51),
    (403, e1(52), AccessDenied, 52),
    (403, e3("POL0001", "Expired contract"), ServiceUnavailable, "POL0001"),
    *[(status, HTML, ServiceUnavailable, None) for status in ODD],
    (403, e1(53), Throttled, 53),
    (406, e1(62), ServiceUnavailable, 62),
    (408, "", ServiceUnavailable, None),
    (415, e1(68), ServiceUnavailable, 68),
    (429, e1(53), Throttled, 53),
    (429, HTML, Throttled, None),
    (500, e1(1), ServiceUnavailable, 1),
    (502, HTML, ServiceUnavailable, None),
    (503, "", ServiceUnavailable, None),
    (503, e1(5), ServiceUnavailable, 5),
    (504, e1(6), ServiceUnavailable, 6),
    (204, "", ConnectionFailed, None),
    (302, HTML, ConnectionFailed, None),
]


@pytest.mark.parametrize(("status", "body", "class_", "code"), TOKEN_ROWS)
def test_the_token_endpoint(status, body, class_, code):
    """
    What is documented about the credentials is final; anything else may be other in a minute.
    """
    error = _wire.token_refusal(answer(status, body))

    assert class_ is type(error)
    assert (status, code, "request-7") == (error.status_code, error.code, error.request_id)


@pytest.mark.parametrize(
    ("name", "class_"),
    [("token/400.json", ServiceUnavailable), ("token/401.json", AuthenticationFailed)],
)
def test_captured_token_refusals(name, class_):
    """
    What Orange says is passed on. That grant_type is missing says nothing of the credentials: it
    was sent.
    """
    error = _wire.token_refusal(_wire.Answer(int(name[6:9]), {}, sample(name)))

    assert isinstance(error, class_)
    assert json.loads(sample(name))["error_description"] in str(error)


@pytest.mark.parametrize(
    ("status", "body", "class_"),
    [
        (204, "", ConnectionFailed),
        (302, "", ConnectionFailed),
        (400, e3("SVC0001", "timeout"), ConnectionFailed),
        (400, e1(28), RequestRejected),
        (401, e1(42), TokenExpired),
        (403, e1(50), AccessDenied),
        (403, e1(53), Throttled),
        (404, e1(60), RequestRejected),
        (408, e1(63), ConnectionFailed),
        (429, "", Throttled),
        (500, HTML, ServiceUnavailable),
        (503, "", ServiceUnavailable),
        (503, e1(6), ServiceUnavailable),
        (504, e1(6), ServiceUnavailable),
    ],
)
def test_asking_for_the_account(status, body, class_):
    """
    A question can be asked again, so no outcome of it is unknown.
    """
    assert class_ is type(_wire.refusal(answer(status, body), repeatable=True))


def drawn_tree():
    """Read the tree in the module's docstring: each name, its parent and its stdlib base."""
    above = {}
    for line in errors.__doc__.splitlines():
        if found := re.match(r"( {4,})([A-Z]\w+)(?: \((\w+)\))?(?:  |$)", line):
            indent, name, base = found.groups()
            above[len(indent)] = name
            yield name, above.get(len(indent) - 2, "Exception"), base


def test_the_tree_is_as_drawn():
    """
    Every class is in the drawing, below what it inherits from.
    """
    drawn = {name: {parent, base} - {None} for name, parent, base in drawn_tree()}
    real = {
        name: {base.__name__ for base in class_.__bases__}
        for name, class_ in vars(errors).items()
        if isinstance(class_, type)
    }

    assert 21 == len(real)
    assert real == drawn


def test_an_error_without_an_answer():
    """
    It has the attributes all the same.
    """
    error = OrangeSMSError("said here")

    assert (None, None, None) == (error.status_code, error.code, error.request_id)
    assert "said here" == str(error)
