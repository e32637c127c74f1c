# A small Parley client: it says one thing to a character. python python_client.py [URL [PLAYER [CHARACTER [TEXT]]]]
# It needs the PyPI package `websockets`, version 15 or later.
import json, random, sys, time, urllib.request
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

defaults = ["http://127.0.0.1:8080", "p1", "mira", "What does a sword cost?"]
url, player, npc, text = sys.argv[1:5] + defaults[len(sys.argv) - 1:]
with urllib.request.urlopen(url + "/dev/token", json.dumps({"player": player}).encode()) as reply:
    hello = {"t": "hello", "token": json.load(reply)["token"]}
stream = {"s": 1, "n": 0}  # the answer; n is the number of the last piece applied
options = {"subprotocols": ["parley.v1.json"], "ping_interval": 5, "ping_timeout": 5, "close_timeout": 1}
for attempt in range(10):
    time.sleep(random.uniform(0, min(5, 0.25 * 2**attempt)))
    try:  # an exception inside of `with` closes with 1011, not with 1000: the answer goes on without us
        with connect("ws" + url[4:] + "/v1/ws", **options) as ws:
            ws.send(json.dumps(hello))
            leave_at = None
            while True:
                m = json.loads(ws.recv(leave_at and leave_at - time.monotonic()))
                if m["t"] == "welcome":
                    state = m["streams"][0]["state"] if m["streams"] else "unknown"
                    hello["resume"] = {"session": m["session"], "key": m["key"], "streams": [stream]}
                    if state == "unknown":  # what we say has not arrived yet
                        ws.send(json.dumps({"t": "say", "s": 1, "npc": npc, "text": text}))
                    elif state == "lost":
                        m = {"t": "err", "s": 1, "code": "lost"}
                elif m["t"] == "reconnect":  # this gateway is stopping: stay so long, then TimeoutError, and come back
                    leave_at = time.monotonic() + m["afterMs"] / 1000
                if m.get("s") == 1 and (m["t"] == "err" or m["t"] == "end" and m["n"] <= stream["n"]):
                    break
                if m.get("s") == 1 and m["t"] in ("tok", "act", "end") and m["n"] > stream["n"]:
                    if m["t"] == "end" or m.get("f", m["n"]) != stream["n"] + 1:
                        raise ConnectionError("a piece is missing")
                    stream["n"] = m["n"]
                    print(m.get("d", ""), end="", flush=True)
        print("\n", m)  # the end of `with` closed with 1000: goodbye
        sys.exit(m["t"] == "err")
    except (OSError, WebSocketException) as lost:
        code = getattr(getattr(lost, "rcvd", None), "code", 1006)
        if code == 1000 or code // 100 == 44 and code not in (4408, 4429):
            raise
        print(f"\n[{lost!r}]", file=sys.stderr)
sys.exit("The server does not come back.")
