// What the gateway is compared with: for each socket one NATS subscription whose callback does `ws.send`, and nothing
// else. No sessions, no checks, no attempts, no end. A `say` becomes a request of a backend, answered to the socket's
// own inbox. A process of its own; says where it listens as a gateway does.

import { createInbox, type Subscription } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { decode, encode } from '../../bus/codec.ts';
import { writeHeaders } from '../../bus/headers.ts';
import type { Say } from '../../bus/protocol.ts';
import { createSubjects } from '../../bus/subjects.ts';
import { listen } from './listen.ts';

interface Connection {
  inbox: string;
  subscription?: Subscription;
}

const url = new URL(process.env.BARE_RELAY_NATS_URL!);
const budgetMs = Number(process.env.BARE_RELAY_BUDGET_MS);
const subject = createSubjects('parley').generate('gold');
const nats = await connect({
  servers: url.host,
  user: url.username,
  pass: url.password,
  noAsyncTraces: true,
});

await listen<Connection>('bare relay', {
  connection: () => ({ inbox: createInbox() }),
  open(ws) {
    const connection = ws.getUserData();
    connection.subscription = nats.subscribe(connection.inbox, {
      callback: (_error, message) => {
        ws.send(message.data, true);
      },
    });
  },
  message(ws, data) {
    const { npc, text, maxTokens } = decode(new Uint8Array(data), 'msgpack') as unknown as Say;
    const { inbox } = ws.getUserData();
    const request = { npc, player: inbox, text, maxTokens, s: 1 };
    nats.publish(subject, encode(request, 'msgpack'), { reply: inbox, headers: writeHeaders({ budgetMs }) });
  },
  close: (ws) => ws.getUserData().subscription?.unsubscribe(),
});
