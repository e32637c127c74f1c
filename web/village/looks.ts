// How the people of Oakfell dress, by the id of the character. Somebody who is not here looks as their name gives it
// (art/people.ts), so any character file is somebody to be seen.

import { type Look, lookOf } from '../art/people.ts';

const dressed: Readonly<Record<string, Look>> = {
  mira: {
    ...{ skin: 0xd99f73, hair: 0xa0432a, hairStyle: 'bun', shirt: 0x5b6b7a, legs: 0x4a3a3d },
    apron: 0x8a5a36,
  },
  rosa: {
    ...{ skin: 0xf0c49c, hair: 0x5a3524, hairStyle: 'long', shirt: 0xb4483d, legs: 0x8a3a3a, skirt: true },
    ...{ apron: 0xf1e8d6, hat: 'kerchief', hatColour: 0xe6b94a },
  },
  bram: {
    ...{ skin: 0xe2ab7e, hair: 0x8d8a8a, hairStyle: 'short', shirt: 0x6f7480, legs: 0x4d4a5a, beard: true },
    ...{ hat: 'helm', cloak: 0x97402f },
  },
  tobin: {
    ...{ skin: 0xf0c49c, hair: 0xd8ab55, hairStyle: 'short', shirt: 0xe9e2d4, legs: 0x8a6a4a },
    ...{ apron: 0xf6f1e6, hat: 'baker' },
  },
  edda: {
    ...{ skin: 0xe8b98f, hair: 0xc9c6c4, hairStyle: 'bun', shirt: 0x5f8a68, legs: 0x4a6b58, skirt: true },
    cloak: 0x6b4468,
  },
  yorick: {
    ...{ skin: 0xc98d5f, hair: 0xb9b4ae, hairStyle: 'bald', shirt: 0x3f6a86, legs: 0x3a4650, beard: true },
    hat: 'straw',
  },
};

export const hero: Look = {
  ...{ skin: 0xe8b489, hair: 0x3b2a24, hairStyle: 'short', shirt: 0x2f6f73, legs: 0x4b3a46 },
  cloak: 0xc99a3e,
};

export function looks({ id }: { id: string }): Look {
  return Object.hasOwn(dressed, id) ? dressed[id]! : lookOf(id);
}
