// The thread of threaded-socket.ts: opens the sockets that it is told to, and tells what happens to them, everything of
// one turn in one message. Plain JavaScript, so that a thread can run it as it is: on Node 20 the loader of the thread
// that starts it does not reach in here.

/**
 * @typedef {import('./threaded-socket.ts').SocketNews} SocketNews
 * @typedef {import('./threaded-socket.ts').SocketOrder} SocketOrder
 */

const inBrowser = typeof globalThis.postMessage === 'function';
const port = inBrowser ? globalThis : (await import('node:worker_threads')).parentPort;
const WebSocketClass = globalThis.WebSocket ?? (await import('ws')).WebSocket;
/** @type {Map<number, WebSocket>} */
const sockets = new Map();
/** @type {SocketNews[]} */
let waiting = [];

/** @param {SocketNews} news */
function tell(news) {
  waiting.push(news);
  if (waiting.length > 1) return;
  setTimeout(() => {
    const all = waiting;
    waiting = [];
    port.postMessage(all);
  }, 0);
}

/** @param {SocketOrder} order */
function obey(order) {
  const { id } = order;
  if (order.op === 'open') return open(id, order.url, order.protocols);
  const socket = sockets.get(id);
  if (!socket) return;
  try {
    if (order.op === 'close') return socket.close(order.code, order.reason);
    socket.send(order.data);
    tell({ id, kind: 'taken', bytes: order.data.length, buffered: socket.bufferedAmount });
  } catch (error) {
    // Not open yet, or closing: what a socket in the same thread would have thrown.
    tell({ id, kind: 'error', message: error.message });
  }
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
