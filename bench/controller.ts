// What a thousand characters cost a frame, beside mistreevous and yuka: see controller/compare.ts. Ends with one line of
// JSON. Options: --characters N, --quick.

import { parseArgs } from 'node:util';
import { compare } from './controller/compare.ts';

const { values } = parseArgs({
  options: {
    characters: { type: 'string', default: '1000' },
    quick: { type: 'boolean', default: false },
  },
});
const characters = Number(values.characters);
process.stderr.write(`${characters} characters at 300 frames a second, times of a frame:\n`);
const { controllerP50Ms, controllerP99Ms, controllerWallP99Ms, controllerUs, ...others } = await compare({
  characters,
  quick: values.quick,
});
process.stdout.write(
  `${JSON.stringify({
    bench: 'controller',
    characters,
    tickP50Ms: controllerP50Ms,
    tickP99Ms: controllerP99Ms,
    tickWallP99Ms: controllerWallP99Ms,
    usPerCharacter: controllerUs,
    ...others,
  })}\n`,
);
