"""Sends and reads receipts with UCloud's own Python client.

    python ucloud_sdk.py demo.json

demo.json: {"base_url", "ucloud": {"public_key", "private_key", "project_id", "sig_content"},
            "templates": {"code", "notice", "plain": {"number", "ut_id"}}}
Ends with status 0 when everything was answered as the vendor's documents say.
"""

import base64
import json
import logging
import sys
import time

from ucloud.client import Client
from ucloud.core import exc

logging.disable(logging.CRITICAL)
RECEIPTS_WITHIN_S = 30
AT_ONCE = "(1)0000000010"
BAD = "(1)12"


def client(demo, secret=None):
    keys = demo["ucloud"]
    return Client({
        "public_key": keys["public_key"],
        "private_key": secret or keys["private_key"],
        "project_id": keys["project_id"],
        "base_url": demo["base_url"],
    }).usms()


def until_all_succeeded(usms, session, count):
    deadline = time.monotonic() + RECEIPTS_WITHIN_S
    while True:
        data = usms.get_usms_send_receipt({"SessionNoSet": [session]})["Data"]
        receipts = [receipt for entry in data for receipt in entry["ReceiptSet"]]
        if len(receipts) == count and all(r["ReceiptResult"] == "Success" for r in receipts):
            return receipts
        assert time.monotonic() < deadline, f"not delivered: {receipts}"
        time.sleep(0.1)


def expect_code(code, call):
    try:
        answer = call()
    except exc.RetCodeException as error:
        assert error.code == code, f"{error.code} instead of {code}: {error}"
    else:
        raise AssertionError(f"no exception but {answer}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        demo = json.load(file)
    code, signature = demo["templates"]["code"]["ut_id"], demo["ucloud"]["sig_content"]
    usms = client(demo)

    sent = usms.send_usms_message({
        "PhoneNumbers": [AT_ONCE], "TemplateId": code, "SigContent": signature, "TemplateParams": ["123456"],
        "UserId": "order-1"})
    assert sent["UserId"] == "order-1", sent
    receipts = until_all_succeeded(usms, sent["SessionNo"], 1)
    assert receipts[0]["UserId"] == "order-1", receipts

    content = [{"TemplateId": code, "SigContent": signature, "Target": [
        {"Phone": AT_ONCE, "TemplateParams": ["123456"]}, {"Phone": BAD, "TemplateParams": ["123456"]}]}]
    encoded = base64.b64encode(json.dumps(content).encode()).decode()
    sent = usms.send_batch_usms_message({"TaskContent": encoded})
    assert sent["SuccessCount"] == 1, sent
    assert sent["FailContent"][0]["SigContent"] == signature, sent
    until_all_succeeded(usms, sent["SessionNo"], 1)

    expect_code(18017, lambda: usms.send_usms_message({
        "PhoneNumbers": [AT_ONCE], "TemplateId": "UTA000000NOSUCH", "SigContent": signature, "TemplateParams": []}))
    expect_code(171, lambda: client(demo, secret="wrong").get_usms_send_receipt({"SessionNoSet": ["x"]}))
    print("ucloud-sdk-python3: fine")


main()
