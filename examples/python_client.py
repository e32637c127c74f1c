# A small Parley client: it says one thing to a character and prints the answer. python_client.py [URL [PLAYER [CHARACTER [TEXT]]]]
# It needs Python 3.11 and the PyPI package `websockets` (15 or later).
import json, random, sys, time, urllib.request
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

url, player, npc, text = sys.argv[1:5] + ["http://127.0.0.1:8080", "p1", "mira", "What does a sword cost?"][len(sys.argv) - 1:]
with urllib.request.urlopen(url + "/dev/token", json.dumps({"player": player}).encode()) as reply:
    hello = {"t": "hello", "token": json.load(reply)["token"]}
last = 0  # the number of the last piece applied; the answer is stream 1
for attempt in range(10):
    time.sleep(random.uniform(0, min(5, 0.25 * 2**attempt)))
    try:  # the pings find a dead connection; an exception inside `with` closes with 1011, not 1000, so the answer goes on
        with connect("ws" + url[4:] + "/v1/ws", subprotocols=["parley.v1.json"], ping_interval=5, ping_timeout=5, close_timeout=1) as ws:
            ws.send(json.dumps(hello))
            leave_at = None
            while True:
                m = json.loads(ws.recv(leave_at and max(0, leave_at - time.monotonic())))
                kind, ours, n = m["t"], m.get("s") == 1, m.get("n", 0)
                if kind == "welcome":
                    state = m["streams"][0]["state"] if m["streams"] else "unknown"
                    hello["resume"] = {"session": m["session"], "key": m["key"], "streams": [{"s": 1, "n": last}]}
                    if state == "unknown":  # our words have not arrived yet
                        ws.send(json.dumps({"t": "say", "s": 1, "npc": npc, "text": text}))
                    elif state == "lost":
                        m = {"t": "err", "code": "lost", "message": "The rest of the answer is lost."}
                        break
                elif kind == "reconnect":  # this gateway is stopping: go on as long as it says, then come back
                    leave_at = time.monotonic() + m["afterMs"] / 1000
                elif ours and (kind == "err" or kind == "end" and n <= last):
                    break
                elif ours and kind in ("tok", "act", "end") and n > last:
                    if kind == "end" or m.get("f", n) != last + 1:
                        raise ConnectionError("a piece is missing")
                    last = hello["resume"]["streams"][0]["n"] = n
                    print(m.get("d", ""), end="", flush=True)
        sys.exit("\n" + json.dumps(m))  # leaving `with` closed with 1000: goodbye
    except (OSError, WebSocketException) as lost:
        code = getattr(getattr(lost, "rcvd", None), "code", 1006)
        if code == 1000 or code // 100 == 44 and code not in (4408, 4429):
            raise
        print(f"\n[{lost!r}: coming back]", file=sys.stderr)
