"""Receipts of the messages that tests send."""

from orange_sms_async import DeliveryReceipt, ResourceId

NUMBER, OTHER = "+2250701020304", "+2250705060708"
NETWORK = "DeliveredToNetwork"
ARRIVED = "DeliveredToTerminal"


def receipt(resource_id: str, status: str = ARRIVED, number: str = NUMBER) -> DeliveryReceipt:
    return DeliveryReceipt(
        resource_id=ResourceId(resource_id), status=status, address=f"tel:{number}"
    )
