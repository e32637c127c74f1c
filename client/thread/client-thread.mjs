// The thread of the clients, as it starts in Parley's own repository: plain JavaScript, since on Node 20 the loader that
// runs TypeScript does not reach into a thread. In the package this file is serve.ts itself, bundled.

import { register } from 'tsx/esm/api';

register();
await import('./serve.ts');
