"use strict";
// Lists the inbox and waits for what comes next. Texts are put in as text, never as HTML.
const by = (id) => document.getElementById(id);
const SHOWN_MAX = 200;
let newest = null;
let round = 0;

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function item(message) {
  const made = document.createElement("li");
  const head = element("div", "head", "");
  head.append(
    element("strong", "", message.to),
    element("span", "", message.from ? "from " + message.from : ""),
    element("span", "", new Date(message.time).toLocaleTimeString()),
    element("span", "", message.state + (message.segments > 1 ? ", " + message.segments + " parts" : "")),
  );
  made.append(head);
  if (message.reason) made.append(element("p", "reason", message.reason.name + ": " + message.reason.message));
  if (message.code && message.state === "delivered") made.append(element("p", "code", message.code));
  if (message.text) made.append(element("p", "text", message.text));
  if (message.api_id) made.append(element("p", "id", message.api_id));
  return made;
}

function query(more) {
  const parameters = new URLSearchParams(more);
  const to = by("to").value.trim();
  if (to) parameters.set("to", to);
  return "/sandbox/messages?" + parameters;
}

function show(messages) {
  for (const message of messages.reverse()) {
    by("messages").prepend(item(message));
    newest = message.id;
  }
  while (by("messages").children.length > SHOWN_MAX) by("messages").lastChild.remove();
  by("empty").hidden = by("messages").children.length > 0;
}

async function follow() {
  const mine = ++round;
  by("messages").replaceChildren();
  newest = null;
  show([]);
  let first = true;
  while (mine === round) {
    try {
      const more = first ? { limit: SHOWN_MAX } : { wait: 30, limit: SHOWN_MAX };
      if (newest) more.after = newest;
      const answer = await fetch(query(more));
      if (mine !== round) return;
      if (!answer.ok) throw new Error((await answer.json()).error);
      by("state").textContent = "";
      show(await answer.json());
      first = false;
    } catch (error) {
      if (mine !== round) return;
      by("state").textContent = "Not connected: " + error.message;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

by("to").addEventListener("change", follow);
by("filter").addEventListener("submit", (event) => { event.preventDefault(); follow(); });
by("clear").addEventListener("click", async () => {
  await fetch(query({}), { method: "DELETE" });
  follow();
});
by("reply").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ from: by("from").value, to: by("reply-to").value, text: by("text").value });
  const answer = await fetch("/sandbox/inbound", { method: "POST", headers: { "content-type": "application/json" }, body });
  by("played").textContent = answer.ok ? "played" : (await answer.json()).error;
});
follow();
