// The thread of threaded-socket.ts: opens the sockets that it is told to, and tells what happens to them, a helping at a
// time: the next one goes out when the last is eaten. Plain JavaScript, so that a thread can run it as it is: on Node 20 the loader of the thread
// that starts it does not reach in here.

/**
 * @typedef {import('./threaded-socket.ts').SocketNews} SocketNews
 * @typedef {import('./threaded-socket.ts').SocketOrder} SocketOrder
 */

const inBrowser = typeof globalThis.postMessage === 'function';
const port = inBrowser ? globalThis : (await import('node:worker_threads')).workerData;
const WebSocketClass = globalThis.WebSocket ?? (await import('ws')).WebSocket;
/** @type {Map<number, WebSocket>} */
const sockets = new Map();

/** News at most in one helping, which is copied in one go, and helpings that the game need not have eaten. */
const mostInHelping = 32;
const mostAhead = 8;
/** Nothing but what was taken to be sent is worth a helping of its own only after so long. */
const takenMs = 100;
/** @type {SocketNews[]} */
const waiting = [];
/** Bytes that were taken and not told of, by socket. @type {Map<number, number>} */
const taken = new Map();
let ahead = 0;
let soon = false;

/** @param {SocketNews} news */
function tell(news) {
  waiting.push(news);
  if (soon) return;
  soon = true;
  // What came in one turn goes together.
  setTimeout(serve, 0);
}

function tellTaken() {
  for (const [id, bytes] of taken) {
    waiting.push({ id, kind: 'taken', bytes, buffered: sockets.get(id)?.bufferedAmount ?? 0 });
  }
  taken.clear();
}

function serve() {
  soon = false;
  if (waiting.length > 0) tellTaken();
  while (waiting.length > 0 && ahead < mostAhead) {
    ahead++;
    port.postMessage(waiting.splice(0, mostInHelping));
  }
}

/** @param {SocketOrder} order */
function obey(order) {
  if (Array.isArray(order)) return send(order[0], order[1]);
  if (order.op === 'eaten') {
    ahead -= order.helpings;
    return serve();
  }
  const { id } = order;
  if (order.op === 'open') return open(id, order.url, order.protocols);
  sockets.get(id)?.close(order.code, order.reason);
}

/**
 * @param {number} id
 * @param {string | Uint8Array} data
 */
function send(id, data) {
  const socket = sockets.get(id);
  if (!socket) return;
  try {
    socket.send(data);
  } catch (error) {
    // Not open yet, or closing: what a socket in the same thread would have thrown.
    return tell({ id, kind: 'error', message: error.message });
  }
  if (taken.size === 0) {
    setTimeout(() => {
      tellTaken();
      serve();
    }, takenMs);
  }
  taken.set(id, (taken.get(id) ?? 0) + data.length);
}

/**
 * @param {number} id
 * @param {string} url
 * @param {string | string[] | undefined} protocols
 */
function open(id, url, protocols) {
  let socket;
  try {
    socket = new WebSocketClass(url, protocols);
  } catch (error) {
    tell({ id, kind: 'error', message: error.message });
    return tell({ id, kind: 'close', code: 1006, reason: '' });
  }
  sockets.set(id, socket);
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => tell({ id, kind: 'open' });
  socket.onmessage = ({ data }) => tell({ id, kind: 'message', data });
  socket.onerror = ({ message }) => tell({ id, kind: 'error', message: message ?? '' });
  socket.onclose = ({ code, reason }) => {
    sockets.delete(id);
    tell({ id, kind: 'close', code, reason });
  };
}

if (inBrowser) port.onmessage = ({ data }) => obey(data);
else port.on('message', obey);
port.postMessage([]);
