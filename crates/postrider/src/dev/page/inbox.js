"use strict";
// Lists the inbox and waits for what comes next. Texts are put in as text, never as HTML.
const by = (id) => document.getElementById(id);
const SHOWN_MAX = 200;
let newest = null;
let round = 0;
let waiting = new AbortController();

// Each text has its own direction, and none of it turns what stands beside it.
function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.dir = "auto";
  made.textContent = text;
  return made;
}

function item(message) {
  const made = document.createElement("li");
  const head = element("div", "head", "");
  head.dir = "ltr";
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
  by("empty").hidden = by("messages").children.length > 0 || by("to").value.trim() !== "";
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 2000));

async function error(answer) {
  const said = await answer.json().catch(() => ({}));
  return said.error || "the node answered " + answer.status;
}

async function follow() {
  const mine = ++round;
  waiting.abort();
  waiting = new AbortController();
  const signal = waiting.signal;
  let first = true;
  while (mine === round) {
    try {
      const more = first ? { limit: SHOWN_MAX } : { wait: 30, limit: SHOWN_MAX };
      if (!first && newest) more.after = newest;
      const answer = await fetch(query(more), { signal });
      const messages = answer.ok ? await answer.json() : [];
      const wrong = answer.ok ? "" : await error(answer);
      if (mine !== round) return;
      by("state").textContent = wrong;
      if (first) {
        by("messages").replaceChildren();
        newest = null;
      }
      show(messages);
      // What is asked for is wrong: it is asked again when it is changed.
      if (answer.status === 400) return;
      if (wrong) await pause();
      first = wrong !== "";
    } catch (failure) {
      if (mine !== round) return;
      by("state").textContent = "Not connected: " + failure.message;
      await pause();
      // A node that was started again counts its entries anew.
      first = true;
    }
  }
}

by("to").addEventListener("change", follow);
by("filter").addEventListener("submit", (event) => { event.preventDefault(); follow(); });
by("clear").addEventListener("click", async () => {
  const answer = await fetch(query({}), { method: "DELETE" });
  if (answer.ok) follow();
  else by("state").textContent = await error(answer);
});
by("reply").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ from: by("from").value, to: by("reply-to").value, text: by("text").value });
  const answer = await fetch("/sandbox/inbound", { method: "POST", headers: { "content-type": "application/json" }, body });
  if (!answer.ok) {
    by("played").textContent = await error(answer);
    return;
  }
  const { account } = await answer.json();
  by("played").textContent = account
    ? "played; it belongs to account " + account
    : "played; it belongs to no account: the sandbox sent nothing to that number lately";
});
follow();
