"""Orange's API simulated on this machine, to develop against: account, limits and receipts."""

try:
    from orange_sms_async.sandbox.sandbox import Sandbox
    from orange_sms_async.sandbox.settings import Contract, ReceiptFaults
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "the sandbox needs: pip install 'orange-sms-async[sandbox]'", name=error.name
    ) from error

__all__ = ["Contract", "ReceiptFaults", "Sandbox"]
