"""What was wrong with a request that Orange refused, in words for whoever wrote the client."""

import enum


class Wrong(enum.StrEnum):
    """
    A rule of Orange's that a request broke; Orange's own answers often name no more than a field.

    The names stand in the page's API, where a program or a translation finds them.
    """

    NO_SUCH_PATH = "Orange has no operation at this path."
    NO_SUCH_METHOD = "The path is one of Orange's, and is called with another method."
    ACCEPT = "The Accept header excludes JSON."
    NO_CREDENTIALS = "The Authorization header is missing, or is not Bearer and a token."
    NOT_ISSUED = "The token is not one that was issued here."
    OUT_OF_DATE = "The token has expired: ask for another, and send again."
    TOO_MANY_TOKENS = "More than 50 tokens were asked for within a minute: keep each for its hour."
    FORM_TYPE = "The body of a token request is application/x-www-form-urlencoded."
    NO_GRANT_TYPE = "The form has no grant_type."
    OTHER_GRANT_TYPE = "The grant_type is client_credentials."
    UNKNOWN_CLIENT = "The client id or the client secret is wrong."
    BASIC = "The Authorization header is not Basic and the base64 of id:secret."
    SLOW_BODY = "The body did not arrive in time."
    LARGE_BODY = "The body is larger than 64 KiB."
    JSON_TYPE = "The Content-Type is application/json."
    NO_BODY = "The body is empty."
    NOT_JSON = "The body is no JSON object."
    ENCODED_SENDER = "The sender in the path is percent-encoded: tel%3A%2B and the number."
    NO_REQUEST = "The body has no object outboundSMSMessageRequest."
    RESOURCE_TYPE = "resource_type_parameter_management is SMS_OCB or SMS_OCB2."
    ADDRESSES = "A request has one address: send a request for each recipient."
    ADDRESS = "The address is tel:+ and the number with its country code, without spaces."
    IVORIAN_DIGITS = "A number in Côte d'Ivoire has ten digits after +225, its 0 among them."
    SENDER_ADDRESS = "The senderAddress is tel:+ and a number with its country code."
    OTHER_SENDER_ADDRESS = "The senderAddress is not the number that stands in the path."
    FOREIGN_SENDER_ADDRESS = (
        "The senderAddress is the country sender number of the recipient's country, +2250000 in "
        "Côte d'Ivoire: no number of your own, and not your name."
    )
    SENDER_NAME = "The senderName is not one that Orange approved for this account."
    ENCODED_SENDER_NAME = "The senderName is URL-encoded: in JSON a space stays a space."
    TEXT = "The message is missing, empty, or no text."
    LONG_TEXT = "The message is too long."
    NO_CONTRACT = "There is no contract for the recipient's country and this offer."
    EXPIRED_CONTRACT = "The contract has expired: buy a bundle."
    NO_UNITS = "The contract has too few units left: buy a bundle."
    TOO_FAST = "More messages arrived within a second than are let through."
    TOO_FAST_OVER_ALL = "More than 25 requests arrived within a second, of all kinds together."
    NO_SUBSCRIPTION = "The body has no object deliveryReceiptSubscription."
    NOTIFY_URL = "The notifyURL begins with https://."
    NO_SUCH_SUBSCRIPTION = "There is no subscription of this id."
    FAULT = "Nothing: a fault was set here for this request."
