"""Sends, reads receipts, manages and counts with UCloud's own Python client.

    python ucloud_sdk.py demo.json

demo.json: {"base_url", "ucloud": {"public_key", "private_key", "project_id", "sig_content"},
            "templates": {"code", "notice", "plain": {"number", "ut_id"}}}
Ends with status 0 when everything was answered as the vendor's documents say.
"""

import base64
import datetime
import json
import logging
import sys
import time
import uuid

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


def encoded(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


def templates(usms, signature):
    made = usms.create_usms_template({
        "Purpose": 3, "TemplateName": "sale", "Template": "Sale in {1}, 拒收请回复R", "Remark": "r", "Instruction": "city",
        "UnsubscribeInfo": "拒收请回复R", "International": False})
    name = made["TemplateId"]
    template = usms.query_usms_template({"TemplateId": name})["Data"]
    assert (template["TemplateId"], template["Purpose"], template["Status"]) == (name, 3, 2), template
    assert (template["UnsubscribeInfo"], template["Instruction"]) == ("拒收请回复R", "city"), template
    assert template["Remark"] == "r" and template["CreateTime"] > 1700000000, template
    sent = usms.send_usms_message({
        "PhoneNumbers": [AT_ONCE], "TemplateId": name, "SigContent": signature, "TemplateParams": ["Paris"]})
    until_all_succeeded(usms, sent["SessionNo"], 1)
    usms.update_usms_template({"TemplateId": name, "Template": "Sale: {1}", "TemplateName": "sales"})
    assert usms.query_usms_template({"TemplateId": name})["Data"]["Template"] == "Sale: {1}"
    expect_code(18001, lambda: usms.create_usms_template({"Purpose": 3, "TemplateName": "n", "Template": "t"}))
    expect_code(18017, lambda: usms.delete_usms_template({"TemplateIds": [name, "UTA0"]}))
    counted(usms, name)
    usms.delete_usms_template({"TemplateIds": [name]})
    expect_code(18017, lambda: usms.query_usms_template({"TemplateId": name}))


def counted(usms, template):
    """The statistics of a template of which one message was delivered, and of all."""
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()
    question = {
        "Page": 0, "NumPerPage": 10, "OrderBy": "SendDate", "OrderType": "desc", "Domestic": 0,
        "StartDate": str(today - datetime.timedelta(days=1)), "EndDate": str(today)}
    deadline = time.monotonic() + RECEIPTS_WITHIN_S
    while True:
        response = usms.get_usms_template_send_statistics({**question, "TemplateId": template})
        if response["StatisticsData"]["SuccessCount"] == 1:
            break
        assert time.monotonic() < deadline, response
        time.sleep(0.1)
    assert response["Total"] == 1 and response["Data"][0]["TemplateId"] == template, response
    assert (response["Data"][0]["Count"], response["Data"][0]["SuccessCount"]) == (1, 1), response
    response = usms.get_usms_send_statistics(question)
    assert response["StatisticsData"]["SuccessCount"] >= 1, response
    rows = [row for row in response["Data"] if row["SuccessCount"]]
    assert rows and 0 < rows[0]["SuccessRate"] <= 1 and rows[0]["SendDate"] in (
        question["StartDate"], question["EndDate"]), response
    expect_code(18003, lambda: usms.get_usms_send_statistics({**question, "EndDate": "2000-01-01"}))


def signatures(usms, template):
    paper = base64.b64encode(b"paper").decode()
    file = usms.upload_usms_file({
        "FileName": "licence.png", "FileContent": paper, "FileType": "image/png", "Source": 0})["FileId"]
    papers = {"Name": f"papers {uuid.uuid4()}", "Attr": 0, "Status": 0, "HandlerPhone": "13800138000",
              "CompanyCertificateFileId": file}
    qualification = usms.add_usms_signature_qualification(papers)["QualificationId"]
    changed = usms.update_usms_signature_qualification({
        "QualificationId": qualification, "Status": 1, "CompanyName": "Acme"})
    assert changed["QualificationId"] == qualification, changed
    shown = usms.query_usms_signature_qualification({"QualificationId": qualification})["Data"]
    assert (shown["Name"], shown["CompanyName"], shown["Status"]) == (papers["Name"], "Acme", 2), shown
    assert shown["CompanyCertificateFile"] == file and shown["HandlerPhone"] == "13800138000", shown
    listed = usms.get_usms_signature_qualification({
        "Page": 0, "NumPerPage": 1, "OrderBy": "CreateTime", "OrderType": "desc"})
    assert listed["Total"] >= 1 and listed["Data"][0]["QualificationId"] == qualification, listed

    text = uuid.uuid4().hex[:8]
    made = usms.create_usms_signature({
        "SigContent": text, "SigType": 0, "SigPurpose": 1, "CertificateType": 0, "Description": "d", "File": paper,
        "ProxyFile": f"image/png;base64,{paper}", "QualificationId": qualification})
    shown = usms.query_usms_signature({"SigId": made["SigId"]})["Data"]
    assert shown == {"SigId": made["SigId"], "SigContent": text, "Status": 2, "ErrDesc": ""}, shown
    assert usms.query_usms_signature({"SigContent": text})["Data"] == shown
    sent = usms.send_usms_message({
        "PhoneNumbers": [AT_ONCE], "TemplateId": template, "SigContent": text, "TemplateParams": ["1"]})
    until_all_succeeded(usms, sent["SessionNo"], 1)
    # Only rejected ones can be changed, and this one was approved.
    expect_code(18003, lambda: usms.update_usms_signature({
        "SigId": made["SigId"], "SigContent": "other", "SigType": 0, "SigPurpose": 0}))
    usms.delete_usms_signature({"SigIds": [made["SigId"]]})
    expect_code(18016, lambda: usms.query_usms_signature({"SigId": made["SigId"]}))
    usms.delete_usms_signature_qualification({"QualificationIds": [qualification]})
    expect_code(18003, lambda: usms.query_usms_signature_qualification({"QualificationId": qualification}))


def reports(usms, session):
    usms.add_backfill({"SendNo": session, "Target": AT_ONCE, "BackfillTime": int(time.time()), "Content": "123456"})
    expect_code(18003, lambda: usms.add_backfill({"SendNo": session, "Target": "0000000010"}))
    # What the client has no method for, it still signs and sends.
    response = usms.invoke("upUSMSCustomerStatus", {"SessionNoSet": [session], "CustomerStatus": "0"})
    assert response["Data"] == [{"MessageNo": session}], response
    blocked = "+447700900999"
    response = usms.invoke("BatchCreateUSMSBlacklistPhone", {
        "IsGlobal": True, "BlackList": encoded([{"Phone": blocked, "Purpose": 0, "Remark": "r"}, {"Phone": "1"}])})
    assert (response["SuccessList"], response["FailedList"]) == ([blocked], ["1"]), response
    expect_code(291, lambda: usms.invoke("PullUSMSReport", {"Limit": 10}))


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
    sent = usms.send_batch_usms_message({"TaskContent": encoded(content)})
    assert sent["SuccessCount"] == 1, sent
    assert sent["FailContent"][0]["SigContent"] == signature, sent
    until_all_succeeded(usms, sent["SessionNo"], 1)

    expect_code(18017, lambda: usms.send_usms_message({
        "PhoneNumbers": [AT_ONCE], "TemplateId": "UTA000000NOSUCH", "SigContent": signature, "TemplateParams": []}))
    expect_code(171, lambda: client(demo, secret="wrong").get_usms_send_receipt({"SessionNoSet": ["x"]}))
    templates(usms, signature)
    signatures(usms, code)
    reports(usms, sent["SessionNo"])
    print("ucloud-sdk-python3: fine")


main()
