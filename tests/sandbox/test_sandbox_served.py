"""The sandbox as its command serves it."""

import pytest
from cli.served import served_sandbox


@pytest.mark.real_time
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_address_that_is_printed_can_be_used(host):
    """
    Wherever it listens, its page and its API answer there.
    """
    with served_sandbox("--host", host) as sandbox:
        counted = sandbox.shown("statistics")

        assert host in sandbox.url
        assert 0 == counted["accepted"]
