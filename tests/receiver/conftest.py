"""What every test of the receiver may ask for."""

import pytest
from post import SECRET

from orange_sms_async.receiver import ReceiptReceiver


@pytest.fixture
def heard():
    return []


@pytest.fixture
def receiver(heard):
    return ReceiptReceiver(heard.append, heard.append, secret=SECRET)
