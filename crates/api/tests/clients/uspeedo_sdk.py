"""Sends, reads receipts and manages templates with the vendor's own Python client, and with the documented curl command.

    python uspeedo_sdk.py demo.json

demo.json: {"base_url", "uspeedo": {"access_key_id", "access_key_secret"},
            "templates": {"code", "notice", "plain": {"number", "ut_id"}}}
Ends with status 0 when everything was answered as the vendor's documents say.
"""

import json
import logging
import shutil
import subprocess
import sys
import time

from uspeedo.client import Client
from uspeedo.core import exc

logging.disable(logging.CRITICAL)
RECEIPTS_WITHIN_S = 30
AT_ONCE = "(1)0000000010"
BAD = "(1)12"


def client(demo, base_url, secret=None):
    keys = demo["uspeedo"]
    return Client({
        "public_key": keys["access_key_id"],
        "private_key": secret or keys["access_key_secret"],
        "base_url": base_url,
    }).asms()


def task(template, *targets):
    return {"TemplateId": template["ut_id"], "SenderId": "uSpeedo", "Target": list(targets)}


def until_all_succeeded(read, count):
    deadline = time.monotonic() + RECEIPTS_WITHIN_S
    while True:
        receipts = [receipt for session in read() for receipt in session["ReceiptSet"]]
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


def sdk(demo):
    templates = demo["templates"]
    # The vendor's examples write the base URL both ways.
    for base_url in (demo["base_url"] + "/api", demo["base_url"] + "/api/"):
        asms = client(demo, base_url)
        sent = asms.send_batch_usms_message({"AccountId": 1, "TaskContent": [
            task(templates["code"],
                 {"Phone": AT_ONCE, "TemplateParams": ["123456"], "UserId": "order 1", "ExtendCode": "12"},
                 {"Phone": BAD, "TemplateParams": ["123456"]}),
            task(templates["plain"], {"Phone": AT_ONCE}),
        ]})
        assert sent["SuccessCount"] == 2, sent
        assert isinstance(sent["SessionNo"], str) and len(sent["SessionNo"]) == 36, sent
        failed = sent["FailContent"][0]
        assert failed["TemplateId"] == templates["code"]["ut_id"], sent
        assert failed["Target"][0]["Phone"] == BAD and failed["Target"][0]["FailureDetails"], sent
        receipts = until_all_succeeded(
            lambda: asms.get_usms_send_receipt({"SessionNoSet": [sent["SessionNo"]]})["Data"], 2)
        assert receipts[0]["UserId"] == "order 1" and receipts[0]["CostCount"] == 1, receipts

    unknown = {"ut_id": "UTA000000NOSUCH"}
    expect_code(215392, lambda: asms.send_batch_usms_message({"TaskContent": [task(unknown, {"Phone": AT_ONCE})]}))
    stranger = client(demo, demo["base_url"] + "/api", secret="wrong")
    expect_code(215398, lambda: stranger.get_usms_send_receipt({"SessionNoSet": ["x"]}))


def templates(demo):
    """The four template actions: made, shown, sent with, changed, removed."""
    asms = client(demo, demo["base_url"] + "/api")
    made = asms.create_usms_template({
        "AccountId": 1, "Purpose": 1, "TemplateName": "login", "Template": "Code {1}, valid {2} minutes", "Remark": "r"})
    name = made["TemplateId"]
    assert name.startswith("UT"), made

    def shown():
        found = asms.query_usms_template({"TemplateId": [name, "UTA000000NOSUCH"]})["Data"]
        assert len(found) == 1, found
        return found[0]

    template = shown()
    assert (template["TemplateId"], template["Purpose"], template["Status"]) == (name, 1, 2), template
    assert (template["TemplateName"], template["Remark"], template["ErrDesc"]) == ("login", "r", ""), template
    assert template["Template"] == "Code {1}, valid {2} minutes" and template["CreateTime"] > 1700000000, template
    sent = asms.send_batch_usms_message({"TaskContent": [
        task({"ut_id": name}, {"Phone": AT_ONCE, "TemplateParams": ["123456", "5"]})]})
    assert sent["SuccessCount"] == 1, sent
    until_all_succeeded(lambda: asms.get_usms_send_receipt({"SessionNoSet": [sent["SessionNo"]]})["Data"], 1)

    asms.update_usms_template({
        "TemplateId": name, "TemplateName": "sign in", "Template": "Your code: {1}", "Instruction": "digits", "Tags": [1, 2]})
    template = shown()
    assert (template["TemplateName"], template["Template"]) == ("sign in", "Your code: {1}"), template
    assert (template["Instruction"], template["Tags"]) == ("digits", [1, 2]), template
    # Left out, the client sends an empty list of tags: that changes nothing.
    asms.update_usms_template({"TemplateId": name, "TemplateName": "sign-in"})
    assert shown()["Tags"] == [1, 2]

    expect_code(215392, lambda: asms.create_usms_template(
        {"Purpose": 4, "TemplateName": "n", "Template": "t"}))
    expect_code(215396, lambda: asms.update_usms_template({"TemplateId": "UTA000000NOSUCH", "TemplateName": "n"}))
    expect_code(215396, lambda: asms.delete_usms_template({"TemplateIds": [name, "UTA000000NOSUCH"]}))
    asms.delete_usms_template({"TemplateIds": [name]})
    expect_code(215396, lambda: asms.query_usms_template({"TemplateId": [name]}))


def documented_curl(demo):
    """The uSpeedo REST v1 document's command, with only host, keys and template changed."""
    keys = demo["uspeedo"]
    authorization = f"$(echo -n '{keys['access_key_id']}:{keys['access_key_secret']}' | base64)"

    def curl(arguments):
        command = f'curl -sS {arguments} -H "Accept: application/json" -H "Authorization: Basic {authorization}"'
        return json.loads(subprocess.run(["bash", "-c", command], check=True, capture_output=True).stdout)

    body = json.dumps({"TaskContent": [task(demo["templates"]["code"],
                                            {"Phone": AT_ONCE, "TemplateParams": ["123456"]})]})
    send = f'-X POST "{demo["base_url"]}/api/v1/usms/SendBatchUSMSMessage"'
    sent = curl(f"{send} -H \"Content-Type: application/json\" -d '{body}'")
    assert (sent["RetCode"], sent["Message"], sent["FailedTargetPhones"]) == (0, "success", []), sent
    assert len(sent["SessionNo"]) == 1, sent
    query = f'"{demo["base_url"]}/api/v1/usms/USMSSendReceipt?id={sent["SessionNo"][0]}"'
    until_all_succeeded(lambda: curl(query)["Data"], 1)

    path = f'"{demo["base_url"]}/api/v1/usms/USMSTemplate'
    new = json.dumps({"Purpose": 1, "TemplateName": "MyTemplate", "Template": "Your verification code is {1}"})
    made = curl(f"-X POST {path}\" -H \"Content-Type: application/json\" -d '{new}'")
    assert (made["RetCode"], made["Message"]) == (0, "success"), made
    name = made["TemplateId"]
    change = json.dumps({"id": name, "TemplateName": "UpdatedTemplate"})
    changed = curl(f"-X PUT {path}/{name}\" -H \"Content-Type: application/json\" -d '{change}'")
    assert changed == {"RetCode": 0, "Message": "success"}, changed
    assert curl(f'{path}?id={name}&id=x"')["Data"][0]["TemplateName"] == "UpdatedTemplate"
    assert curl(f'-X DELETE {path}?id={name}"') == {"RetCode": 0, "Message": "success"}
    assert curl(f'-X DELETE {path}?id={name}"')["RetCode"] == 215396


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        demo = json.load(file)
    sdk(demo)
    templates(demo)
    if shutil.which("curl") and shutil.which("bash"):
        documented_curl(demo)
    print("uspeedo-sdk-py: fine")


main()
