"""Takes EngageLab's callback with the vendor's own verifier (the package engagelab-otp).

    python engagelab_callback.py demo.json

demo.json: {"base_url", "engagelab": {"dev_key", "dev_secret"}, "templates": {"code": {"number"}},
            "engagelab_callback": {"username", "secret"}}
Prints "listening PORT" and waits for a line on its standard input: by then webhooks are sent to that port of the
loopback, in the format engagelab_callback. Sends three messages and checks the events about them.
Ends with status 0 when the verifier took every call and all events were as the vendor's documents say; with status
77 when demo.json has no "engagelab_callback": then no events would be sent to it.
"""

import base64
import http.server
import json
import sys
import threading
import time
import urllib.request

from engagelab_otp import MessageStatusEvent, NotificationEvent, WebhookSignatureError, WebhookVerifier

NOT_SET_UP = 77
EVENTS_WITHIN_S = 30
AT_ONCE = "+10000000010"
POWERED_OFF = "+10000000018"


class Receiver:
    """Takes calls as a customer's service would."""

    def __init__(self, verifier):
        self.events, self.calls, self.wrong = [], 0, []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.take(verifier, self.headers.get("X-CALLBACK-ID", ""), body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, verifier, header, body):
        self.calls += 1
        try:
            verifier.verify(header)
            sent, parsed = json.loads(body), verifier.parse_events(body)
            assert sent["total"] == len(sent["rows"]) == len(parsed), sent
            self.events.extend(parsed)
        except (WebhookSignatureError, AssertionError) as error:
            self.wrong.append(error)
            return 401
        return 200

    def until(self, has):
        deadline = time.monotonic() + EVENTS_WITHIN_S
        while not has(list(self.events)):
            assert not self.wrong, self.wrong
            assert time.monotonic() < deadline, f"events missing: {self.events}"
            time.sleep(0.05)
        assert not self.wrong, self.wrong
        return list(self.events)


def send(demo, to, **more):
    keys = demo["engagelab"]
    pair = base64.b64encode(f"{keys['dev_key']}:{keys['dev_secret']}".encode()).decode()
    template = {"id": str(demo["templates"]["code"]["number"]), "params": {"code": "123456"}}
    body = json.dumps({"to": to, "template": template, **more}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {pair}"}
    request = urllib.request.Request(demo["base_url"] + "/v1/messages", body, headers)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read())


def statuses(events, message_id):
    return [event.status for event in events if event.message_id == message_id]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        demo = json.load(file)
    if "engagelab_callback" not in demo:
        print("engagelab-otp: skipped here, this account has no webhook; the tests of the crate run it with one")
        sys.exit(NOT_SET_UP)
    keys = demo["engagelab_callback"]
    receiver = Receiver(WebhookVerifier(keys["username"], keys["secret"]))
    print(f"listening {receiver.port}", flush=True)
    sys.stdin.readline()

    good = send(demo, [AT_ONCE], custom_args={"order_id": "ORD123"})["message_id"]
    off = send(demo, [POWERED_OFF])["message_id"]
    events = receiver.until(lambda events: "delivered" in statuses(events, good)
                            and "delivered_failed" in statuses(events, off))
    assert all(isinstance(event, MessageStatusEvent) for event in events), events
    assert statuses(events, good)[0] == "plan", events
    delivered = next(event for event in events if event.status == "delivered")
    assert delivered.is_terminal and delivered.error_code == 0, delivered
    assert (delivered.to, delivered.server, delivered.channel) == (AT_ONCE, "sms", "sms"), delivered
    assert delivered.custom_args == {"order_id": "ORD123"}, delivered
    assert delivered.template_key == str(demo["templates"]["code"]["number"]), delivered
    assert abs(delivered.timestamp - time.time()) < 60 and delivered.msg_time <= delivered.timestamp, delivered
    failed = next(event for event in events if event.status == "delivered_failed")
    assert failed.is_terminal and failed.error_code == 5018 and failed.error_message, failed

    # A plan of many numbers comes in rows.
    send(demo, [f"+1555010{n:04}" for n in range(40)])
    events = receiver.until(lambda events: sum(event.status == "delivered" for event in events) >= 41)
    assert receiver.calls < len(events), "several rows share a call"
    assert not any(isinstance(event, NotificationEvent) for event in events), events
    print("engagelab-otp: fine")


main()
