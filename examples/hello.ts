// How a game makes a character speak: connect, say, read the words as they come. Run it beside `npm start`:
//
//   node --import tsx examples/hello.ts mira "What does a sword cost?"

import { WebSocket } from 'ws';
import { ParleyClient } from '../client/index.ts';

const [npc = 'mira', text = 'What does a sword cost?'] = process.argv.slice(2);
const server = process.env.PARLEY_HTTP ?? 'http://127.0.0.1:8080';

async function token(): Promise<string> {
  const response = await fetch(`${server}/dev/token`, { method: 'POST', body: '{"player":"p1"}' });
  return ((await response.json()) as { token: string }).token;
}

const client = new ParleyClient({ url: `${server.replace('http', 'ws')}/v1/ws`, token, WebSocket });
await client.connect();
const answer = client.npc(npc).say(text);
answer.on('act', ({ name, args }) => console.log(`\n[${name}]`, args));
for await (const words of answer) process.stdout.write(words);
console.log(`\n(${(await answer.end).source})`);
client.close();
