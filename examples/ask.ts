// How a backend makes a character answer: one request on NATS, frames to the reply inbox. Run it beside `npm start`:
//
//   npm run ask -- mira "hello"
//
// NATS_URL names another stack than the newest on this machine. The same with the NATS command-line tool (the URL with its
// credentials is in the ready line of `npm start`):
//
//   nats -s "$NATS_URL" req parley.gold.generate '{"npc":"mira","player":"p1","text":"hello"}' --replies=0 --timeout=30s

import { connect, createInbox } from '@nats-io/transport-node';
import { readConfig } from '../runtime/config.ts';
import { stackState } from '../scripts/stack/state.ts';

const [npc = 'mira', text = 'hello'] = process.argv.slice(2);
const address = process.env.NATS_URL ?? (await stackState(readConfig().home))?.ready.nats;
if (!address) throw new Error('No stack runs here. Start one with: npm start');
const url = new URL(address);

const nats = await connect({ servers: url.host, user: url.username, pass: url.password });
const inbox = createInbox();
const frames = nats.subscribe(inbox);
nats.publish('parley.gold.generate', JSON.stringify({ npc, player: 'p1', text }), { reply: inbox });
for await (const frame of frames) {
  if (frame.headers?.code === 503) throw new Error('No worker runs.');
  console.log(frame.string());
  const { t } = frame.json<{ t: string }>();
  if (t === 'end' || t === 'err') break;
}
await nats.close();
