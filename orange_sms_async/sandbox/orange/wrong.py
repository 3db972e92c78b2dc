"""What was wrong with a refused request, in words for the author of the client."""

import enum


class Wrong(enum.StrEnum):
    """
    A rule of Orange's that a request broke; Orange's own answers often only name a field.

    The page's API gives the names, for programs and translations.
    """

    NO_SUCH_PATH = "Orange has no operation at this path."
    NO_SUCH_METHOD = "The path is one of Orange's, but needs another method."
    ACCEPT = "The Accept header excludes JSON."
    NO_CREDENTIALS = "The Authorization header is missing, or is not Bearer followed by a token."
    NOT_ISSUED = "This token was not issued here."
    OUT_OF_DATE = "The token has expired: get a new one, then send again."
    TOO_MANY_TOKENS = "More than 50 token requests in a minute: keep each token for its hour."
    FORM_TYPE = "The body of a token request must be application/x-www-form-urlencoded."
    NO_GRANT_TYPE = "The form has no grant_type."
    OTHER_GRANT_TYPE = "The grant_type must be client_credentials."
    UNKNOWN_CLIENT = "The client id or the client secret is wrong."
    BASIC = "The Authorization header is not Basic followed by the base64 of id:secret."
    SLOW_BODY = "The body did not arrive in time."
    LARGE_BODY = "The body is larger than 64 KiB."
    JSON_TYPE = "The Content-Type must be application/json."
    NO_BODY = "The body is empty."
    NOT_JSON = "The body is not a JSON object."
    ENCODED_SENDER = "The sender in the path must be percent-encoded: tel%3A%2B and the number."
    NO_REQUEST = "The body has no object outboundSMSMessageRequest."
    RESOURCE_TYPE = "resource_type_parameter_management must be SMS_OCB or SMS_OCB2."
    ADDRESSES = "A request takes one address: send one request per recipient."
    ADDRESS = "The address must be tel:+ and the number with its country code, without spaces."
    IVORIAN_DIGITS = "A number in Côte d'Ivoire has ten digits after +225, including its 0."
    SENDER_ADDRESS = "The senderAddress must be tel:+ and a number with its country code."
    OTHER_SENDER_ADDRESS = "The senderAddress differs from the number in the path."
    FOREIGN_SENDER_ADDRESS = (
        "The senderAddress must be the sender number of the recipient's country, such as +2250000 "
        "in Côte d'Ivoire, not your own number or your name."
    )
    SENDER_NAME = "Orange has not approved this senderName for this account."
    ENCODED_SENDER_NAME = "The senderName is URL-encoded: in JSON a space stays a space."
    TEXT = "The message is missing, empty, or not text."
    LONG_TEXT = "The message is too long."
    NO_CONTRACT = "There is no contract for the recipient's country and this offer."
    EXPIRED_CONTRACT = "The contract has expired: buy a bundle."
    NO_UNITS = "The contract has too few units left: buy a bundle."
    TOO_FAST = "More messages arrived in a second than the limit allows."
    TOO_FAST_OVER_ALL = "More than 25 requests of all kinds arrived in a second."
    NO_SUBSCRIPTION = "The body has no object deliveryReceiptSubscription."
    NOTIFY_URL = "The notifyURL must begin with https://."
    NO_SUCH_SUBSCRIPTION = "There is no subscription with this id."
    FAULT = "Nothing: this request met an injected fault."
